"""Transition depth and jump against their definitions."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from layercliff.metrics.phases import half_depths, jump, rises, sign_depths, transition, transition_depths

CURVES = st.integers(2, 9).flatmap(
    lambda n: st.tuples(
        arrays(np.float64, n, elements=st.sampled_from([-0.4, 0.0, 0.1, 0.6])),
        arrays(np.float64, n, elements=st.sampled_from([0.2, 0.25, 0.3, 0.9])),
    )
)


@given(CURVES)
def test_first_depth_from_which_both_hold(curves: tuple[Any, Any]) -> None:
    margin, accuracy = curves
    n = len(margin)
    depths = [d for d in range(n) if all(margin[later] > 0 and accuracy[later] > 0.25 for later in range(d, n))]
    assert transition_depths(margin, accuracy, 0.25) == (min(depths) if depths else np.inf)


@given(CURVES)
def test_sign_alone(curves: tuple[Any, Any]) -> None:
    margin, _ = curves
    depths = [d for d in range(len(margin)) if all(m > 0 for m in margin[d:])]
    assert sign_depths(margin) == (min(depths) if depths else np.inf)


@given(CURVES)
def test_half_depth(curves: tuple[Any, Any]) -> None:
    margin, _ = curves
    steps = np.diff(margin)
    before = [margin[d] for d in range(int(np.flatnonzero(steps == steps.max())[0]) + 1)]
    middle = (sum(before) / len(before) + margin[-1]) / 2
    depths = [d for d in range(len(margin)) if all(m > middle for m in margin[d:])]
    found = half_depths(np.stack([margin, margin]))
    if abs(margin - middle).min() > 1e-9:  # else rounding decides
        assert found.tolist() == [min(depths) if depths else np.inf] * 2


def test_a_jump_against_shuffles() -> None:
    margin = np.array([-0.5, -0.4, 0.5])
    shuffled = np.array([[0.0, 0.1, 0.2]] * 7 + [[0.0, 1.0, 0.0]])
    found = jump(margin, margin[None], shuffled)
    assert found.p == 2 / 9
    assert not found.shown
    assert jump(margin, margin[None], np.repeat(shuffled[:1], 199, 0)).shown
    assert not jump(margin, margin[None]).shown


@given(CURVES)
def test_rises(curves: tuple[Any, Any]) -> None:
    margin, _ = curves
    block, rise, share = rises(margin)
    steps = [margin[d + 1] - margin[d] for d in range(len(margin) - 1)]
    assert rise == max(steps)
    assert steps[int(block)] == rise
    total = sum(s for s in steps if s > 0)
    np.testing.assert_allclose(share, rise / total if total > 0 else 0)


def test_undecided_resamples_reach_infinity_and_are_counted() -> None:
    margin = np.array([-0.5, 0.1, 0.2])
    samples = np.array([margin] * 80 + [[-0.5, -0.1, -0.1]] * 20)
    accuracy = np.array([0.2, 0.9, 0.9])
    found = transition(margin, accuracy, samples, np.tile(accuracy, (100, 1)), 0.25)
    assert (found.depth, found.low, found.high, found.undecided_share) == (1, 1.0, np.inf, 0.2)


def test_an_undecided_model_has_no_depth() -> None:
    margin = np.array([0.5, 0.5, -0.1])
    found = transition(margin, np.full(3, 0.9), np.tile(margin, (10, 1)), np.full((10, 3), 0.9), 0.25)
    assert found.depth is None
    assert found.undecided_share == 1


def test_jump_and_its_block() -> None:
    margin = np.array([-0.5, -0.4, 0.5, 0.6])
    found = jump(margin, np.tile(margin, (10, 1)))
    assert (found.block, found.block_low, found.block_high) == (1, 1, 1)
    np.testing.assert_allclose([found.rise, found.sharpness], [0.9, 0.9 / 1.1])
