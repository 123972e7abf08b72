"""The bootstrap: whole groups, the same resamples everywhere, intervals that cover what they should."""

import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st

from layercliff.metrics.statistics import Resamples, clustered_interval, percentile_interval


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30), st.integers(0, 3))
def test_means_equal_means_of_the_drawn_questions(groups: list[int], seed: int) -> None:
    names = [str(g) for g in groups]
    values = np.random.default_rng(0).normal(size=(3, len(groups)))
    resamples = Resamples.draw(names, 5, seed)
    found = resamples.means(values)
    order = sorted(set(names))
    for r in range(5):
        drawn = [
            i
            for g, count in enumerate(resamples.counts[r])
            for _ in range(int(count))
            for i, name in enumerate(names)
            if name == order[g]
        ]
        np.testing.assert_allclose(found[r], values[:, drawn].mean(1), atol=1e-12)
    assert (resamples.counts.sum(1) == len(order)).all()


def test_seeded() -> None:
    first, again, other = (Resamples.draw(["a", "b", "c"], 50, seed).counts for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_groups_widen_the_interval() -> None:
    """Twins carry no news: counted as one, they leave the interval as wide as that of half the questions."""
    draw = np.random.default_rng(0)
    twins = np.repeat(draw.normal(size=200), 2)[None]
    alone = Resamples.draw([str(i) for i in range(400)], 2000).means(twins)
    grouped = Resamples.draw([str(i // 2) for i in range(400)], 2000).means(twins)
    np.testing.assert_allclose(grouped.std() / alone.std(), np.sqrt(2), rtol=0.1)


def test_coverage_of_the_mean() -> None:
    draw = np.random.default_rng(0)
    inside = 0
    for trial in range(300):
        values = draw.normal(0.3, 1, size=(1, 60))
        low, high = percentile_interval(Resamples.draw([str(i) for i in range(60)], 400, trial).means(values)[:, 0])
        inside += bool(low <= 0.3 <= high)
    assert 0.89 <= inside / 300 <= 0.98


@pytest.mark.parametrize("n", [40, 200, 2000, 10000])
def test_interval_ends_have_the_rank_that_the_level_says(n: int) -> None:
    """(1 - 0.95) / 2 is 0.02500000000000002 in floating point, and would take one resample more off."""
    samples = np.random.default_rng(0).permutation(np.arange(1.0, n + 1))
    assert percentile_interval(samples) == (n // 40, n - n // 40)


def test_interval_ends_are_values_that_occurred() -> None:
    samples = np.array([3.0] * 90 + [np.inf] * 10)
    assert percentile_interval(samples) == (3.0, np.inf)


def test_a_clustered_interval_of_single_values_is_students() -> None:
    values = np.random.default_rng(0).normal(size=9)
    low, high = clustered_interval(values, list("abcdefghi"))
    expected = scipy.stats.t.interval(0.95, 8, values.mean(), values.std(ddof=1) / 3 * np.sqrt(9 / 8))
    assert (low, high) == pytest.approx(expected)


def test_clustered_intervals_cover_the_mean_of_few_clusters() -> None:
    """Where a percentile bootstrap of six clusters covers it in 88 of 100."""
    rng, clusters = np.random.default_rng(1), [str(i // 3) for i in range(18)]
    found = []
    for _ in range(800):
        values = np.repeat(rng.normal(0, 1, 6), 3) + rng.normal(0, 1, 18)
        low, high = clustered_interval(values, clusters)
        found.append(low <= 0 <= high)
    assert 0.93 <= np.mean(found) <= 0.99
