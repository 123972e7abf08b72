"""The probe: a planted direction is found in other groups' questions, nothing where there is nothing, penalties chosen
without the test fold."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from layercliff.errors import TaskError
from layercliff.metrics import decision, linear_probe
from layercliff.metrics.linear_probe import cross_validated, exchanged, folds, shuffled
from layercliff.metrics.statistics import Resamples, percentile_interval
from layercliff.tasks.question import Question

N, K, D = 120, 4, 24
RNG = np.random.default_rng(0)
MASK = np.ones((N, K), bool)
MASK[::5, -1] = False
GOLD = RNG.integers(0, K - 1, N)
GROUPS = [f"g{i // 2}" for i in range(N)]
QUESTIONS = [
    Question(str(i), "which?", tuple("abcd"[:width]), int(gold), group)
    for i, (width, gold, group) in enumerate(zip(MASK.sum(1), GOLD, GROUPS, strict=True))
]


def planted(per_option: bool, size: float = 2.0) -> np.ndarray:
    """Noise, with a direction in it that says which option is right."""
    rng = np.random.default_rng(1)
    directions = rng.standard_normal((K, D)) / np.sqrt(D)
    if not per_option:
        return (rng.standard_normal((N, 1, D)) + 3 * size * directions[GOLD][:, None]).astype(np.float32)
    states = rng.standard_normal((N, K, D))
    states[np.arange(N), GOLD] += 3 * size * directions[0]
    return np.where(MASK[..., None], states, 0).astype(np.float32)


def accuracy_interval(scores: np.ndarray, gold: np.ndarray) -> tuple[float, float]:
    correct = decision.correctness(scores[None], MASK, gold)
    low, high = percentile_interval(Resamples.draw(GROUPS, 500).means(correct))
    return float(low[0]), float(high[0])


@pytest.mark.parametrize("per_option", [False, True])
def test_a_planted_direction_is_found_and_nothing_in_the_control(per_option: bool) -> None:
    states, fold = planted(per_option), folds(GROUPS, 0)
    assert accuracy_interval(cross_validated(states, MASK, GOLD, fold), GOLD)[0] > 0.7
    drawn = shuffled(QUESTIONS, "letter", 0)
    low, high = accuracy_interval(cross_validated(states, MASK, drawn, fold), drawn)
    chance = float(np.mean([(drawn[MASK.sum(1) == k] == o).mean() for k in (3, 4) for o in range(K - 1)]))
    assert low < chance + 0.05
    assert low < 0.45
    assert high < 0.6


@pytest.mark.parametrize("per_option", [False, True])
def test_states_of_pure_noise_give_chance(per_option: bool) -> None:
    """There are features enough to fit them."""
    rng = np.random.default_rng(2)
    states = rng.standard_normal((N, K if per_option else 1, 4 * N)).astype(np.float32)
    balanced = np.where(MASK[:, -1], rng.permutation(np.arange(N) % K), rng.permutation(np.arange(N) % (K - 1)))
    low, high = accuracy_interval(cross_validated(states, MASK, balanced, folds(GROUPS, 0)), balanced)
    assert low < 0.27 < high + 0.05
    everywhere = linear_probe._ProbeFit.path(states, MASK, balanced, np.ones(N, bool))[-1]
    fitted = np.where(MASK, everywhere.scores(states), -np.inf).argmax(1)
    assert (fitted == balanced).mean() > 0.95


def test_absent_options_have_no_score_and_no_part() -> None:
    states = planted(True)
    scores = cross_validated(states, MASK, GOLD, folds(GROUPS, 0))
    np.testing.assert_array_equal(np.isnan(scores), ~MASK)
    other = states.copy()
    other[~MASK] = 100
    np.testing.assert_allclose(cross_validated(other, MASK, GOLD, folds(GROUPS, 0)), scores, atol=1e-3)


def test_a_fold_is_scored_without_its_gold_options() -> None:
    fold = folds(GROUPS, 0)
    states, changed = planted(True), GOLD.copy()
    test = fold == 2
    changed[test] = (GOLD[test] + 1) % (K - 1)
    before, after = (cross_validated(states, MASK, gold, fold) for gold in (GOLD, changed))
    np.testing.assert_array_equal(before[test], after[test])
    assert np.nanmax(np.abs(before[~test] - after[~test])) > 0.01


def test_gradient() -> None:
    scores = RNG.standard_normal((6, K))

    def loss(flat: np.ndarray) -> float:
        return linear_probe._with_gradient(flat.reshape(6, K), MASK[:6], GOLD[:6])[0]

    _, gradient = linear_probe._with_gradient(scores, MASK[:6], GOLD[:6])
    np.testing.assert_allclose(gradient.ravel(), approx_fprime(scores.ravel(), loss, 1e-6), atol=1e-5)
    expected = -np.log(decision.probabilities(scores[None], MASK[:6])[0, np.arange(6), GOLD[:6]]).mean()
    assert loss(scores.ravel()) == pytest.approx(expected)


def test_groups_stay_whole() -> None:
    """Shuffling keeps how often each option is right."""
    fold = folds(GROUPS, 0)
    assert set(fold) == set(range(linear_probe.FOLDS))
    assert all(fold[i] == fold[i + 1] for i in range(0, N, 2))
    with pytest.raises(TaskError, match="2 groups"):
        folds(["a", "b", "a"], 0)
    drawn = shuffled(QUESTIONS, "letter", 0)
    assert MASK[np.arange(N), drawn].all()
    np.testing.assert_array_equal(np.bincount(drawn), np.bincount(GOLD))
    assert (drawn != GOLD).mean() > 0.4


def test_exchanged_scores_are_measured_at_the_gold_place() -> None:
    scores = np.where(MASK, RNG.standard_normal((N, K)), np.nan)
    drawn = shuffled(QUESTIONS, "letter", 0)
    moved = exchanged(scores, GOLD, drawn)
    for values, gold in ((scores, drawn), (moved, GOLD)):
        margin = decision.margin(decision.probabilities(values[None], MASK), MASK, gold)
        correct = decision.correctness(values[None], MASK, gold)
        if gold is drawn:
            expected = margin, correct
    np.testing.assert_allclose(margin, expected[0])
    np.testing.assert_array_equal(correct, expected[1])
