"""Perplexity against its definition, token by token and resample by resample."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layercliff.metrics.intervals import bca
from layercliff.metrics.perplexity import perplexity
from layercliff.metrics.statistics import Resamples


def test_points_are_those_of_all_tokens() -> None:
    generator = np.random.default_rng(0)
    tokens = generator.integers(2, 9, 6)
    each = [[generator.uniform(-5, 0, n) for n in tokens] for _ in range(2)]
    found = perplexity(np.array([[x.sum() for x in model] for model in each]), tokens)
    wanted = [math.exp(-np.concatenate(model).mean()) for model in each]
    assert found.dense.point == pytest.approx(wanted[0])
    assert found.pruned.point == pytest.approx(wanted[1])
    assert found.ratio.point == pytest.approx(wanted[1] / wanted[0])
    assert (found.paragraphs, found.tokens) == (6, tokens.sum())


def test_intervals_are_those_of_drawn_paragraphs() -> None:
    generator = np.random.default_rng(1)
    tokens, scores = generator.integers(5, 9, 7), generator.uniform(-20, -1, (2, 7))
    drawn = Resamples.draw([str(i) for i in range(7)], 199, 3)
    ratios = []
    for counts in drawn.counts:
        chosen = np.repeat(np.arange(7), counts.astype(int))
        dense, pruned = (math.exp(-row[chosen].sum() / tokens[chosen].sum()) for row in scores)
        ratios.append(pruned / dense)
    found = perplexity(scores, tokens, 199, 3)
    ends = bca(np.array(math.log(found.ratio.point)), np.log(ratios), 7)
    assert (found.ratio.low, found.ratio.high) == pytest.approx(tuple(map(math.exp, ends)))


@given(st.lists(st.floats(-50, 0), min_size=2, max_size=9), st.integers(0, 5))
def test_the_same_model_twice_has_ratio_one(scores: list[float], seed: int) -> None:
    found = perplexity(np.array([scores, scores]), np.full(len(scores), 4), 50, seed)
    assert (found.ratio.point, found.ratio.low, found.ratio.high) == (1, 1, 1)
    assert found.dense.low <= found.dense.high
