"""Correlations over clusters, against scipy on the points written out, and the pairs of censored points one by one."""

from dataclasses import astuple
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from layercliff.metrics import association


def drawn(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.round(rng.random(n), 1)
    return x, np.round(rng.random(n) - x, 1)


def test_weights_count_points_as_often_as_they_say() -> None:
    x, y = drawn(9)
    weights = np.random.default_rng(1).integers(0, 4, (6, 9)).astype(float)
    found = association.pearson(x, y, weights), association.spearman(x, y, weights)
    for row, times in enumerate(weights.astype(int)):
        a, b = np.repeat(x, times), np.repeat(y, times)
        assert found[0][row] == pytest.approx(stats.pearsonr(a, b).statistic)
        assert found[1][row] == pytest.approx(stats.spearmanr(a, b).statistic)


def test_kendall_counts_the_pairs_whose_order_is_known() -> None:
    rng = np.random.default_rng(2)
    x, y = drawn(12, 3)
    x[4] = x[7] = np.inf
    censored = rng.random(12) < 0.4
    agree = known = 0
    for i, j in combinations(range(12), 2):
        if censored[i] and censored[j]:
            continue
        early, late = (i, j) if (censored[j], y[j]) > (censored[i], y[i]) else (j, i)
        if (not censored[late] and y[early] == y[late]) or y[early] > y[late]:
            continue
        known += 1
        agree += int(x[late] > x[early]) - int(x[late] < x[early])
    assert association.kendall(x, y, censored, np.ones((1, 12)))[0] == pytest.approx(agree / known)
    found = association.associate(x, y, censored, [f"m{i % 4}" for i in range(12)], 50)
    assert found.pairs == known
    assert found.complete == int((np.isfinite(x) & ~censored).sum()) < found.points == 12


def test_intervals_resample_whole_models() -> None:
    """Copies of a model's point add nothing: the interval is that of the models by themselves."""
    x, y = drawn(5)
    nothing = np.zeros(5, bool)
    names = [f"m{i}" for i in range(5)]
    once = association.associate(x, y, nothing, names, 300)
    often = association.associate(
        np.repeat(x, 4), np.repeat(y, 4), np.zeros(20, bool), np.repeat(names, 4).tolist(), 300
    )
    few = association.associate(np.arange(10.0), -np.arange(10.0), np.zeros(10, bool), list("aabbccddee"), 100)
    assert few.spearman is not None
    assert few.spearman.high < 0
    assert once.pearson is not None
    assert often.pearson is not None
    assert astuple(often.pearson) == pytest.approx(astuple(once.pearson))
    assert once.pearson.low < once.pearson.point < once.pearson.high


def test_two_models_give_no_interval() -> None:
    """A side that does not vary gives no correlation."""
    x, y = drawn(6)
    found = association.associate(x, y, np.zeros(6, bool), ["a"] * 3 + ["b"] * 3)
    assert found.pearson is not None
    assert np.isnan(found.pearson.low)
    flat = association.associate(np.ones(6), y, np.zeros(6, bool), list("abcdef"))
    assert flat.pearson is None
    assert flat.spearman is None
    nothing = association.associate(x, y, np.ones(6, bool), list("abcdef"))
    assert (nothing.complete, nothing.pairs, nothing.pearson, nothing.kendall) == (0, 0, None, None)
