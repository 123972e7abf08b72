"""Accuracies and paired comparisons against slow and known ways."""

import math
import statistics

import numpy as np
import pytest
from scipy.stats import binomtest

from layercliff.metrics import accuracy
from layercliff.metrics.statistics import Resamples

NAN = np.nan
SUMS = np.array([[-4.0, -6.0, NAN], [-9.0, -3.0, -3.0], [-5.0, -8.0, -6.0]])
SIZES = np.array([[2.0, 6.0, NAN], [3.0, 1.0, 3.0], [1.0, 4.0, 2.0]])


def test_the_highest_sum_wins_and_the_first_of_a_tie() -> None:
    np.testing.assert_array_equal(accuracy.right(SUMS, None, np.array([0, 1, 0])), [1, 1, 1])
    np.testing.assert_array_equal(accuracy.right(SUMS, None, np.array([1, 2, 0])), [0, 0, 1])


def test_sums_are_divided_before_they_are_compared() -> None:
    """-4/2 and -6/6; -9/3, -3/1 and -3/3; -5, -2 and -3."""
    np.testing.assert_array_equal(accuracy.right(SUMS, SIZES, np.array([1, 2, 1])), [1, 1, 1])


def test_standard_error_is_the_harnesss() -> None:
    """The sample standard deviation over the root of n."""
    values = np.array([1.0, 0, 0, 1, 1, 0, 1])
    found = accuracy.scores({"acc": values}, [str(i) for i in range(7)], 0)["acc"]
    assert found.value == pytest.approx(4 / 7)
    assert found.stderr == pytest.approx(statistics.stdev(values) / math.sqrt(7))
    assert found.low <= found.value <= found.high
    assert math.isnan(accuracy.scores({"acc": values[:1]}, ["a"], 0)["acc"].stderr)


def test_clustered_standard_error() -> None:
    """By a loop over pairs of questions of a group (Miller 2024); close to the spread of resampled groups; with one
    question to a group, the harness's."""
    values = np.array([1.0, 1, 1, 0, 0, 1, 0, 0, 0, 1])
    groups = ["a", "a", "a", "b", "b", "c", "d", "d", "e", "f"]
    found = accuracy.scores({"acc": values}, groups, 0)["acc"]
    n, mean = len(values), values.mean()
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j and groups[i] == groups[j]]
    products = sum((values[i] - mean) * (values[j] - mean) for i, j in pairs)
    assert found.stderr_clustered == pytest.approx(math.sqrt(found.stderr**2 + products / n**2))
    many = accuracy.scores({"acc": np.repeat(values, 20)}, [str(i // 20) for i in range(200)], 0)["acc"]
    spread = Resamples.draw([str(i // 20) for i in range(200)]).means(np.repeat(values, 20)[None]).std()
    assert many.stderr_clustered == pytest.approx(spread, rel=0.05)
    alone = accuracy.scores({"acc": values}, [str(i) for i in range(n)], 0)["acc"]
    assert alone.stderr_clustered == pytest.approx(alone.stderr)
    assert math.isnan(accuracy.scores({"acc": values}, ["a"] * n, 0)["acc"].stderr_clustered)


def test_groups_widen_the_interval() -> None:
    values = np.repeat(np.random.default_rng(0).integers(0, 2, 40).astype(float), 5)
    alone = accuracy.scores({"acc": values}, [str(i) for i in range(200)], 0)["acc"]
    grouped = accuracy.scores({"acc": values}, [str(i // 5) for i in range(200)], 0)["acc"]
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_exact_mcnemar_for_independent_questions() -> None:
    here, there = np.array([1.0] * 12 + [0] * 8), np.array([1.0] * 3 + [0] * 15 + [1] * 2)
    found = accuracy.paired(here, there, [str(i) for i in range(20)], 0)
    assert (found.won, found.lost, found.n, found.test) == (9, 2, 20, "exact McNemar")
    assert found.p == pytest.approx(binomtest(9, 11).pvalue)
    assert found.difference == pytest.approx(7 / 20)
    assert found.low < 7 / 20 < found.high


def test_bootstrap_over_groups_for_grouped_questions() -> None:
    """What looks like forty wins is four groups'."""
    here, there = np.array([1.0] * 40 + [0] * 10), np.array([0.0] * 40 + [1] * 10)
    found = accuracy.paired(here, there, [str(i // 10) for i in range(50)], 0)
    assert found.test == "bootstrap over groups"
    assert found.p > 10 * binomtest(40, 50).pvalue
    assert accuracy.paired(here, here, [str(i // 10) for i in range(50)], 0).p == 1
