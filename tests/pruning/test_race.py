"""The race against simulation: how often the candidate that all questions would choose is dropped."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layercliff.pruning import race


def run(values: np.ndarray, alpha: float, seed: int) -> tuple[bool, float]:
    """Whether the best candidate on all units is lost, and the share of scores that were computed."""
    n, units = values.shape
    best = max(range(n), key=lambda c: (values[c].mean(), c))
    running, seen, asked = list(range(n)), np.empty(0, int), 0
    looks = race.looks(units, seed)
    for look in looks:
        seen = np.concatenate([seen, look])
        asked += len(running) * len(look)
        if len(seen) < units:
            stays = race.survivors(values[running][:, seen], units, alpha)
            running = [c for c, stay in zip(running, stays, strict=True) if stay]
        if len(running) == 1:
            break
    return best not in running, asked / (n * units)


def margins(rng: np.random.Generator, n: int, units: int, gap: float, kind: str) -> np.ndarray:
    """Per-question margins of candidates, alike over candidates for a question; the best leads the next by `gap`."""
    easy = rng.normal(0, 0.5, units)
    if kind == "right or wrong":
        level = np.concatenate([[0.0], np.full(n - 1, -gap)])[:, None]
        return (easy + level + rng.normal(0, 0.3, (n, units)) > 0).astype(float)
    level = np.concatenate([[0.0], -gap * np.arange(1, n)])[:, None]
    noise = rng.standard_t(2, (n, units)) * 0.2 if kind == "heavy tails" else rng.normal(0, 0.25, (n, units))
    return np.clip(easy + level + noise, -1, 1)


@pytest.mark.parametrize("kind", ["normal", "heavy tails", "right or wrong"])
@pytest.mark.parametrize("gap", [0.0, 0.01, 0.05])
@pytest.mark.parametrize("units", [60, 200])
def test_the_stated_error_holds(kind: str, gap: float, units: int) -> None:
    """A step of 12 candidates has its share of an error of 0.05 over 6 steps: hardly any of 300 trials may lose."""
    rng = np.random.default_rng(0)
    steps, trials = 6, 300
    alpha = race.level(0.05, 12, len(race.looks(units, 0)), steps)
    lost = sum(run(margins(rng, 12, units, gap, kind), alpha, trial)[0] for trial in range(trials))
    assert lost / trials <= 0.05 / steps + 3 * np.sqrt(0.05 / steps / trials)


def test_a_careless_bound_does_lose_the_best() -> None:
    """The test above can fail: without a margin of error, near-equal candidates are dropped wrongly."""
    rng = np.random.default_rng(1)
    lost = sum(run(margins(rng, 12, 200, 0.0, "normal"), 0.5, trial)[0] for trial in range(100))
    assert lost > 30


def test_clear_races_are_short() -> None:
    rng = np.random.default_rng(2)
    alpha = race.level(0.05, 18, 4, 9)
    work = np.mean([run(margins(rng, 18, 400, 0.1, "normal"), alpha, trial)[1] for trial in range(50)])
    assert work < 0.35


@given(st.integers(1, 2000), st.integers(0, 5))
def test_looks_ask_every_unit_once(units: int, seed: int) -> None:
    looks = race.looks(units, seed)
    assert sorted(np.concatenate(looks).tolist()) == list(range(units))
    assert len(looks[0]) >= min(units, race.FEWEST)


def test_equal_candidates_all_stay() -> None:
    assert race.survivors(np.ones((5, 30)), 300, 0.01).all()


def test_several_tasks_are_not_raced() -> None:
    assert race.refusal(1) is None
    assert "leave out --race" in str(race.refusal(2))
