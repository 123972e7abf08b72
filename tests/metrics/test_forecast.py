"""The rule that forecasts k*/L: known rules found, noise left alone, what lies outside said."""

import numpy as np
import pytest

from layercliff.metrics import forecast, ridge
from layercliff.metrics.forecast import FEATURES, Rule, judge

Study = tuple[np.ndarray, np.ndarray, list[str], list[str]]


def study(slope: float, noise: float, seed: int, n_models: int = 6, n_tasks: int = 4) -> Study:
    """Models by tasks, k*/L a known rule of two features plus noise that a model's tasks share in part."""
    rng = np.random.default_rng(seed)
    x = rng.random((n_models * n_tasks, len(FEATURES)))
    models = [f"m{i // n_tasks}" for i in range(len(x))]
    tasks = [f"t{i % n_tasks}" for i in range(len(x))]
    shared = np.repeat(rng.normal(size=n_models), n_tasks)
    y = 0.5 + slope * (x[:, 3] - 0.5) - slope * (x[:, 0] - 0.5) + noise * (0.5 * shared + rng.normal(size=len(x)))
    return x, y, models, tasks


def test_ridge_against_the_normal_equations_and_its_limits() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((20, 3)), rng.random(20)
    least = np.linalg.lstsq(np.c_[np.ones(20), x], y, rcond=None)[0]
    np.testing.assert_allclose(ridge.fit(x, y, 0.0).predict(x), np.c_[np.ones(20), x] @ least)
    np.testing.assert_allclose(ridge.fit(x, y, np.inf).predict(x), y.mean())
    z = (x - x.mean(0)) / x.std(0)
    expected = np.linalg.solve(z.T @ z + 20 * 0.1 * np.eye(3), z.T @ (y - y.mean()))
    np.testing.assert_allclose(ridge.fit(x, y, 0.1).coefficients, expected)
    x[:, 1] = 0.3
    assert np.isfinite(ridge.fit(x, y, 0.1).predict(x)).all()


def test_left_out_rows_take_no_part() -> None:
    x, y, models, _ = study(0.5, 0.1, 0)
    found = ridge.left_out(x, y, models, 0.1)
    y2 = y.copy()
    y2[:4] += 100
    np.testing.assert_allclose(ridge.left_out(x, y2, models, 0.1)[:4], found[:4])
    assert ridge.chosen(x, y, ["one"] * len(y)) == np.inf


def test_shares_of_blocks() -> None:
    costs = np.array([0.3, -0.2, 0.1, 0.5])
    assert forecast.share_below(costs, 0.45) == 0.75
    assert forecast.share_below(costs, 0.1) == 0.25
    assert forecast.effective_share(np.array([0.3, 0.3, 0.3])) == pytest.approx(1)
    assert forecast.effective_share(np.array([0.3, 0.0, -0.5])) == pytest.approx(1 / 3)
    assert forecast.effective_share(np.zeros(3)) == 1.0
    assert forecast.share_below(costs, 0.0) == forecast.share_below(costs, -1.0) == 0.0
    found = forecast.features(
        None, 0.7, 0.25, 0.4, np.array([0.1, 0.3, 0.2, 0.2]), np.array([0.4, 0.39, 0.1, 0.3]), np.array([0.0, 0.2, -0.5, 0.2])
    )  # fmt: skip
    influence = 2 ** (-(0.125 * np.log2(0.125) + 0.375 * np.log2(0.375) + 2 * 0.25 * np.log2(0.25))) / 4
    expected = {"transition": 1.25, "strength": 0.6, "influence": influence, "removal": 0.75, "gates": 0.5}
    assert found == pytest.approx(expected)
    assert list(found) == list(FEATURES)


def test_a_known_rule_is_found_and_beats_every_baseline() -> None:
    x, y, models, tasks = study(0.6, 0.02, 1)
    for left_out, groups in (("model", models), ("task", tasks)):
        found = judge(x, y, models, left_out, groups)
        assert found.error < 0.05
        assert found.covered is not None
        assert found.covered > 0.75
        assert found.covered == np.mean((found.low <= y) & (y <= found.high))
        assert [a.beaten for a in found.against] == [True, True, True]
        np.testing.assert_allclose(found.predicted, y, atol=0.15)


def test_nothing_predictable_does_not_beat_the_mean() -> None:
    """Where the features say nothing, a rule is hardly ever said to beat the fixed ratio."""
    verdicts = []
    for seed in range(12):
        x, y, models, tasks = study(0.0, 0.15, seed)
        groups = models if seed % 2 else tasks
        fixed = judge(x, y, models, "model", groups).against[0]
        assert fixed.name == "a fixed ratio"
        verdicts.append(fixed.beaten is True)
    assert sum(verdicts) <= 1


@pytest.mark.parametrize("n_models", [6, 8])
def test_error_rate_of_beats(n_models: int) -> None:
    """Two rules of the same errors, three tasks a model that go together: hardly one in twenty is said to beat the
    other or to be beaten."""
    said, models = [], [f"m{i // 3}" for i in range(3 * n_models)]
    for seed in range(600):
        rng = np.random.default_rng(seed)
        own, other = (
            np.abs(np.repeat(rng.normal(0, 0.1, n_models), 3) + rng.normal(0, 0.1, 3 * n_models)) for _ in range(2)
        )
        said.append(forecast._compared("another", own, other, models).beaten is not None)
    assert np.mean(said) < 0.075


def test_a_better_rule_beats_another() -> None:
    rng = np.random.default_rng(0)
    own, other, models = rng.random(18) / 10, 0.1 + rng.random(18) / 10, [f"m{i // 3}" for i in range(18)]
    assert forecast._compared("another", own, other, models).beaten is True
    assert forecast._compared("another", other, own, models).beaten is False
    assert forecast._compared("another", own, own, models).beaten is None
    assert forecast._compared("another", own[:15], other[:15], models[:15]).beaten is None  # five models


def test_nothing_above_chance_is_no_strength() -> None:
    """All golds alike: the best constant answer is always right."""
    flat = np.full(4, 0.5)
    assert forecast.features(2, 1.0, 1.0, 0.3, flat, flat, flat)["strength"] == 0.0


def test_intervals_cover_new_models() -> None:
    hits = []
    for seed in range(15):
        x, y, models, _ = study(0.4, 0.05, seed, n_models=9)
        rule = Rule.fitted(x[:32], y[:32], models[:32], list(FEATURES))
        hits += [
            one.low <= v <= one.high for one, v in ((rule.predict(a), b) for a, b in zip(x[32:], y[32:], strict=True))
        ]
    assert 0.75 <= np.mean(hits) <= 1.0


def test_too_small_a_table_gives_no_interval() -> None:
    x, y, models, _ = study(0.4, 0.05, 0, n_models=2)
    found = Rule.fitted(x, y, models, list(FEATURES)).predict(x[0])
    assert (found.low, found.high) == (-np.inf, np.inf)
    assert 0 <= found.ratio <= 1


def test_what_lies_outside_is_said() -> None:
    rng = np.random.default_rng(0)
    x = np.repeat(rng.random((24, 1)), 5, axis=1) + 0.01 * rng.normal(size=(24, 5))
    rule = Rule.fitted(x, x[:, 0], [f"m{i % 6}" for i in range(24)], list(FEATURES))
    assert rule.predict(x[3]).outside == ()
    beyond = x[3].copy()
    beyond[1] = 2.0
    assert rule.predict(beyond).outside[0].startswith("strength is 2.00, and between")
    across = np.where(
        np.arange(5) % 2, x.min(0) + 0.02, x.max(0) - 0.02
    )  # every feature within its range, none with the others
    assert "together they lie farther off" in rule.predict(across).outside[0]
