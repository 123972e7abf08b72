"""Intervals of shares, differences and means: against definitions, and how often they cover the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, norm

from layercliff.metrics import intervals
from layercliff.metrics.frequency import Categories, option_frequency
from layercliff.metrics.statistics import Curve, Resamples, percentile_interval

ROWS = 400  # simulated samples


def resamples_of(n: int, size: int) -> Resamples:
    """Of `n` questions in groups of a `size`."""
    return Resamples.draw([f"{i // size:04d}" for i in range(n)])


def alike(draw: np.random.Generator, right: float, n: int, size: int) -> np.ndarray:
    """Answers that are right with a probability, half of which are the same in a whole group."""
    shape = (ROWS, n // size, size)
    whole, own = draw.random((*shape[:2], 1)) < right, draw.random(shape) < right
    return np.where(draw.random(shape) < 0.5, whole, own).reshape(ROWS, n).astype(float)


def covered(found: Curve | tuple[np.ndarray, np.ndarray], truth: float) -> float:
    low, high = (found.low, found.high) if isinstance(found, Curve) else found
    return float(((low <= truth + 1e-9) & (truth - 1e-9 <= high)).mean())


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("n", [20, 40, 80])
@pytest.mark.parametrize("right", [0.5, 0.95])
def test_intervals_cover_a_share(right: float, n: int, size: int) -> None:
    """Also near 1 and in groups, where the percentile interval does not."""
    correct, resamples = alike(np.random.default_rng(n), right, n, size), resamples_of(n, size)
    assert covered(intervals.share_curve(correct, resamples), right) >= 0.9
    if right == 0.95 and n == 20:
        assert covered(percentile_interval(resamples.means(correct)), right) < 0.75


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize(("n", "change"), [(20, 0.05), (40, 0.1), (80, 0.05)])
def test_intervals_cover_a_difference(n: int, change: float, size: int) -> None:
    """Of two models, of which the second errs now and then where the first does not."""
    lost, resamples = alike(np.random.default_rng(n), change, n, size), resamples_of(n, size)
    assert covered(intervals.difference_curve(lost, resamples), change) >= 0.92


@pytest.mark.parametrize("n", [10, 40])
def test_intervals_cover_a_mean(n: int) -> None:
    """As a t interval would, where the percentile interval of ten values is too narrow."""
    values, resamples = np.random.default_rng(n).normal(0.3, 1, (1000, n)), resamples_of(n, 1)
    assert covered(intervals.mean_curve(values, resamples), 0.3) >= 0.925
    assert n > 10 or covered(percentile_interval(resamples.means(values)), 0.3) < 0.92


@pytest.mark.parametrize(("right", "n"), [(0, 12), (3, 12), (60, 61), (61, 61)])
def test_a_share_of_single_questions_is_wilsons(right: int, n: int) -> None:
    found = intervals.share_curve((np.arange(n) < right)[None].astype(float), resamples_of(n, 1))
    expected = binomtest(right, n).proportion_ci(0.95, "wilson")
    assert (found.low[0], found.high[0]) == pytest.approx((expected.low, expected.high))


def test_ties_and_draws_are_worth_more_than_plain_answers() -> None:
    """Means over ten draws have a tenth of the variance, and so the interval of about ten times the questions."""
    draw, resamples = np.random.default_rng(0), resamples_of(200, 1)
    plain, means = (draw.random((200, draws)) < 0.3 for draws in (1, 10))
    assert intervals.effective_questions(plain.mean(1), resamples) == pytest.approx(200)
    assert intervals.effective_questions(means.mean(1), resamples) == pytest.approx(2000, rel=0.3)


def test_one_group_says_nothing() -> None:
    correct, resamples = np.array([[1.0, 1.0, 0.0]]), resamples_of(3, 3)
    share, mean = intervals.share_curve(correct, resamples), intervals.mean_curve(correct, resamples)
    assert (share.low[0], share.high[0]) == (0, 1)
    assert (mean.low[0], mean.high[0]) == (-np.inf, np.inf)


def test_rows_have_the_intervals_that_they_have_alone() -> None:
    """A row that does not vary is among them."""
    values, resamples = np.random.default_rng(0).exponential(size=(4, 30)) * [[1], [0], [1], [3]], resamples_of(30, 3)
    together = intervals.mean_curve(values, resamples)
    alone = [intervals.mean_curve(row[None], resamples) for row in values]
    np.testing.assert_allclose(together.low, [one.low[0] for one in alone], atol=1e-12)
    np.testing.assert_allclose(together.high, [one.high[0] for one in alone], atol=1e-12)


def test_an_options_frequency_is_a_share() -> None:
    """Of groups of several sizes, with ties, and with two options of a category."""
    draw = np.random.default_rng(0)
    resamples = Resamples.draw([str(number) for number in draw.integers(0, 9, 40)])
    votes = draw.dirichlet(np.ones(3), (2, 40))
    kinds = Categories(("a", "b"), np.array([[0, 1, 1]] * 40), np.ones(40, bool))
    found = option_frequency(votes, np.zeros(40, int), kinds, resamples, 0)
    expected = intervals.share_curve(votes[1, :, 1:].sum(-1)[None], resamples)
    assert (found.low[1, 1], found.high[1, 1]) == pytest.approx((expected.low[0], expected.high[0]))


@pytest.mark.parametrize(
    ("lost", "won", "n"), [(43, 0, 44), (9, 4, 49), (3, 12, 200), (0, 0, 60), (5, 5, 30), (0, 7, 90)]
)
@pytest.mark.parametrize("level", [0.95, 0.975])
def test_score_bound_against_the_likelihood_itself(lost: int, won: int, n: int, level: float) -> None:
    """At the bound, the score statistic is the normal quantile, with the share of won pairs that makes the counts
    likeliest given that loss."""
    delta = intervals.tango_upper(lost, won, n, level)

    def surprise(q: float) -> float:
        counts, shares = np.array([lost, won, n - lost - won]), np.array([q + delta, q, 1 - 2 * q - delta])
        return -float(np.sum(counts * np.log(np.maximum(shares, 1e-300))))

    q = minimize_scalar(
        surprise, bounds=(max(0.0, -delta), (1 - delta) / 2), method="bounded", options={"xatol": 1e-12}
    ).x
    statistic = (lost - won - n * delta) / np.sqrt(n * (2 * q + delta - delta**2))
    assert statistic == pytest.approx(-norm.ppf(level), abs=2e-3)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 300))
def test_upper_bound_lies_above_the_estimate(lost: int, won: int, rest: int) -> None:
    n = lost + won + rest
    if n:
        assert (lost - won) / n - 1e-9 <= intervals.tango_upper(lost, won, n) <= 1


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0])), min_size=1))
def test_design_effect_against_its_definition(questions: list[tuple[str, float]]) -> None:
    names, lost = [name for name, _ in questions], [value for _, value in questions]
    usual = np.mean([names.count(name) for name in names])
    together = sum(sum(v for other, v in questions if other == name) ** 2 for name in set(names))
    expected = max(1.0, (together + usual**2) / (sum(v * v for v in lost) + usual))
    assert intervals.design_effect(np.array(lost), Resamples.draw(names, 2)) == pytest.approx(expected)
    alone = Resamples.draw(list(map(str, range(len(lost)))), 2)
    assert intervals.design_effect(np.array(lost), alone) == 1
    assert intervals.design_effect(np.zeros(len(lost)), Resamples.draw(names, 2)) == pytest.approx(usual)
