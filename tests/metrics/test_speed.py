"""Speeds and their ratio."""

import numpy as np

from layercliff.metrics.speed import speed


def test_ratios_are_paired() -> None:
    found = speed(10, np.array([1.0, 2.0, 4.0]), np.array([0.5, 2.0, 1.0]))
    assert (found.tokens, found.repeats) == (10, 3)
    assert (found.dense, found.pruned) == (5, 10)
    assert (found.ratio, found.low, found.high) == (2, 1, 4)
