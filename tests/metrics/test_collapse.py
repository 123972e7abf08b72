"""The collapse point, paired tests and non-inferiority, against definitions, tables and simulation."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom

from layercliff.metrics import collapse
from layercliff.metrics.intervals import score_upper, tango_upper
from layercliff.metrics.statistics import Resamples


@given(arrays(np.float64, st.integers(1, 9), elements=st.sampled_from([0.2, 0.3, 0.45, 0.5, 0.7])))
def test_first_step_from_which_it_stays_below_half(accuracy: Any) -> None:
    line = 0.5 * max(0, accuracy[0] - 0.25)  # what is not above chance cannot fall
    steps = [k for k in range(len(accuracy)) if line and all(later - 0.25 < line for later in accuracy[k:])]
    assert collapse.collapse_steps(accuracy, 0.25) == (min(steps) if steps else np.inf)


def path(accuracies: list[float], n: int = 400) -> np.ndarray:
    draw = np.random.default_rng(0)
    return np.stack([draw.random(n) < a for a in accuracies]).astype(float)


def test_a_clear_cliff_has_a_narrow_interval() -> None:
    found = collapse.collapse(path([0.9, 0.88, 0.86, 0.27, 0.25]), Resamples.draw(list(map(str, range(400)))), 0.25)
    assert (found.defined, found.step, found.low, found.high, found.censored_share) == (True, 3, 3.0, 3.0, 0.0)


def test_no_cliff_is_censored() -> None:
    found = collapse.collapse(path([0.9, 0.88, 0.86]), Resamples.draw(list(map(str, range(400)))), 0.25)
    assert (found.step, found.high, found.censored_share) == (None, np.inf, 1.0)


def test_nothing_to_lose_is_not_defined() -> None:
    found = collapse.collapse(path([0.26, 0.2, 0.1]), Resamples.draw(list(map(str, range(400)))), 0.25)
    assert not found.defined
    assert found.step is None


def test_mcnemar_is_the_exact_binomial() -> None:
    before = np.array([1.0] * 10 + [0.0] * 10)
    after = np.array([0.0] * 8 + [1.0] * 2 + [1.0] * 1 + [0.0] * 9)
    assert collapse.mcnemar(before, after) == pytest.approx(2 * binom.cdf(1, 9, 0.5))
    assert collapse.mcnemar(before, before) == 1


def test_error_rate_of_the_fixed_sequence() -> None:
    """Models that all lose exactly the margin are called harmless in at most about 5 % of trials, however long the
    path."""
    draw, wrong = np.random.default_rng(0), 0
    names = list(map(str, range(300)))
    resamples = Resamples.draw(names, 10)
    for _ in range(300):
        dense = draw.random(300) < 0.8
        steps = [
            dense,
            *((dense & (draw.random(300) > 0.125)) | (~dense & (draw.random(300) < 0.25)) for _ in range(2)),
        ]
        found = collapse.harmless(np.stack(steps).astype(float), resamples, 0.05)
        wrong += found[0].shown
    assert wrong / 300 < 0.085


def together(draw: np.random.Generator, shape: tuple[int, int], share: float) -> np.ndarray:
    """In each of so many groups either all questions or none, with probability `share`."""
    return np.repeat(draw.random((shape[0], 1)) < share, shape[1], 1).ravel()


@pytest.mark.parametrize(
    ("shape", "tied"),
    [
        ((20, 1), 1),
        ((25, 4), 0),
        *(
            pytest.param(shape, tied, marks=pytest.mark.slow)
            for shape, tied in (
                *(((20, 1), 0), ((25, 4), 1)),
                *((shape, tied) for shape in ((60, 1), (60, 2), (190, 1)) for tied in (0, 1)),
            )
        ),
    ],
)
def test_error_rate_with_few_questions_groups_and_ties(shape: tuple[int, int], tied: int) -> None:
    """Of a model that loses the margin exactly, group by group, where a question may be tied and another pair shares a
    group."""
    draw, wrong, worlds = np.random.default_rng(0), 0, 400
    names = [str(i // shape[1]) for i in range(shape[0] * shape[1])]
    names[-1] = names[0]  # not all independent
    resamples = Resamples.draw(names, 300)
    for _ in range(worlds):
        correct = np.ones((2, len(names)))
        correct[1] -= together(draw, shape, 0.05)
        correct[:, :tied] = 0.5
        wrong += collapse.harmless(correct, resamples, 0.05)[0].shown
    assert wrong / worlds < 0.085


@pytest.mark.parametrize("names", ["abcdefghijkl", "abcdefghijkk", "aaaaaabbbbbb"])
@pytest.mark.parametrize("tied", [0, 1])
def test_a_dozen_questions_show_nothing(names: str, tied: int) -> None:
    """Where none is lost a bootstrap is certain, of a dozen questions and of two groups."""
    correct = np.ones((3, 12))
    correct[:, :tied] = 0.5
    correct[2, -1] = 0.5  # what ties at a later step says nothing of an earlier one
    for step in collapse.harmless(correct, Resamples.draw(list(names)), 0.05):
        assert step.upper >= tango_upper(0, 0, 12) > 0.18
        assert not step.shown


def test_a_step_after_one_not_shown_is_not_shown() -> None:
    found = collapse.harmless(path([0.9, 0.9, 0.6, 0.9], 2000), Resamples.draw(list(map(str, range(2000))), 50), 0.05)
    assert [step.shown for step in found] == [True, False, False]
    assert collapse.recommended(found, 0.05) == 1


def test_questions_that_go_together_count_as_one() -> None:
    alone = path([0.9, 0.88], 100)
    twins, names = np.repeat(alone, 4, axis=1), [str(i // 4) for i in range(400)]
    grouped = collapse.harmless(twins, Resamples.draw(names), 0.05)[0]
    once = collapse.harmless(alone, Resamples.draw(list(map(str, range(100)))), 0.05)[0]
    assert grouped.upper == pytest.approx(once.upper, abs=0.01)


def test_a_group_larger_than_others_is_the_bootstraps_matter_too() -> None:
    """Half of all questions are one group, which loses."""
    correct = np.ones((2, 100))
    correct[1, :50] = 0
    resamples = Resamples.draw(["large"] * 50 + list(map(str, range(50))))
    (step,) = collapse.harmless(correct, resamples, 0.05)
    samples = resamples.means(correct[:1] - correct[1:])[:, 0]
    assert step.upper >= max(np.quantile(samples, 0.95), score_upper(correct[0] - correct[1], resamples))


@pytest.mark.parametrize(("lost", "won", "n"), [(6, 4, 100), (0, 0, 30), (1, 2, 30), (0, 9, 80)])
def test_questions_needed_would_do(lost: int, won: int, n: int) -> None:
    """With as many questions as stated, answered in the same proportions, the bound lies below the margin, and with a
    tenth fewer it does not."""
    correct = np.ones((2, n))
    correct[1, :lost] = 0
    correct[0, lost : lost + won] = 0
    (step,) = collapse.harmless(correct, Resamples.draw(list(map(str, range(n))), 50), 0.05)
    assert step.questions_needed is not None
    assert (step.questions_needed > n) != step.shown
    for times, below in ((1.0, True), (0.9, False)):
        k = times * step.questions_needed / n
        assert (tango_upper(lost * k, won * k, n * k) < 0.05 + 1e-6) == below


def test_no_number_of_questions_shows_what_is_not_so() -> None:
    correct = np.ones((3, 100))
    correct[1, :1], correct[2, :8] = 0, 0
    first, second = collapse.harmless(correct, Resamples.draw(list(map(str, range(100))), 50), 0.05)
    assert first.questions_needed is not None
    assert second.questions_needed is None


def test_a_step_needs_what_those_before_it_need() -> None:
    """Thirty questions cannot show the first step, so that the second needs more as well although its own bound is low
    enough."""
    correct = np.ones((3, 30))
    correct[1, :1] = 0
    correct[[0, 1], 10:18] = 0
    first, second = collapse.harmless(correct, Resamples.draw(list(map(str, range(30))), 50), 0.05)
    assert second.upper < 0.05
    assert not second.shown
    assert second.questions_needed == first.questions_needed
    assert first.questions_needed is not None and first.questions_needed > 30


def test_recommendation_by_the_estimate_where_nothing_is_shown() -> None:
    """Twenty questions cannot show that a model which loses none of them loses less than 5 points."""
    correct = np.ones((4, 20))
    correct[2:, :2] = 0
    found = collapse.harmless(correct, Resamples.draw(list(map(str, range(20))), 50), 0.05)
    assert [step.loss for step in found] == [0, 0.1, 0.1]
    assert not any(step.shown for step in found)
    assert found[0].upper == pytest.approx(1.645**2 / (20 + 1.645**2), abs=1e-3)
    assert collapse.recommended(found, 0.05) == 1


def test_what_is_not_above_chance_cannot_fall() -> None:
    assert np.isinf(collapse.collapse_steps(np.array([0.24, 0.2, 0.1, 0.0]), 0.25))
    assert np.isinf(collapse.collapse_steps(np.array([0.25, 0.2, 0.1, 0.0]), 0.25))
    assert collapse.collapse_steps(np.array([0.45, 0.2, 0.1, 0.0]), 0.25) == 1


@given(arrays(np.float64, st.integers(2, 9), elements=st.sampled_from([0.2, 0.3, 0.45, 0.5, 0.7])))
def test_first_crossing_and_retained_share_by_their_definitions(accuracy: Any) -> None:
    line = 0.5 * max(0, accuracy[0] - 0.25)
    below = [k for k, value in enumerate(accuracy) if line and value - 0.25 < line]
    assert collapse.first_crossings(accuracy, 0.25) == (min(below) if below else np.inf)
    removed = np.arange(len(accuracy)) * 2.0
    pairs = itertools.pairwise(accuracy)
    mean = sum((a + b) / 2 - 0.25 for a, b in pairs) / (len(accuracy) - 1) / (accuracy[0] - 0.25)
    assert collapse.retained_means(accuracy, 0.25, removed) == pytest.approx(mean if line else 0)


def test_a_revival_is_between_the_first_crossing_and_the_last() -> None:
    resamples = Resamples.draw(list(map(str, range(400))))
    found = collapse.collapse(path([0.9, 0.88, 0.3, 0.85, 0.27, 0.25]), resamples, 0.25)
    assert found.crossing is not None
    assert (found.step, found.crossing.step, found.revived) == (4, 2, True)
    assert not collapse.collapse(path([0.9, 0.88, 0.27, 0.25]), resamples, 0.25).revived
    assert not collapse.collapse(path([0.9, 0.88]), resamples, 0.25).revived
    assert collapse.collapse(path([0.9, 0.3, 0.88]), resamples, 0.25).revived


def test_a_late_cliff_of_a_slow_fall_is_not_in_the_retained_share() -> None:
    """Accuracy falls a point a step. k* of 30 questions lies late, the retained share does not lean."""
    draw, resamples = np.random.default_rng(0), Resamples.draw(list(map(str, range(30))), 400)
    truth = np.linspace(0.85, 0.25, 61)
    share = float(collapse.retained_means(truth, 0.25, np.arange(61.0)))
    late, held, means = [], [], []
    for _ in range(150):
        threshold = draw.random((61, 30))
        found = collapse.collapse((threshold < truth[:, None]).astype(float), resamples, 0.25)
        if found.defined and found.step is not None and found.retained is not None:
            late.append(found.step - float(collapse.collapse_steps(truth, 0.25)))
            held.append(found.retained.low <= share <= found.retained.high)
            means.append(found.retained.mean)
    assert np.mean(late) > 3
    assert np.mean(means) == pytest.approx(share, abs=0.03)
    assert np.mean(held) > 0.88
