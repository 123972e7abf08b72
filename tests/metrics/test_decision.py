"""Per-question quantities against loops over questions and options."""

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from layercliff.metrics import decision


@st.composite
def questions(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    depths, n, k = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(2, 5))
    values = st.sampled_from([-3.0, -1.0, 0.0, 0.5, 2.0, 30.0])  # ties are common
    scores = draw(arrays(np.float32, (depths, n, k), elements=values))
    sizes = [draw(st.integers(2, k)) for _ in range(n)]
    mask = np.array([[j < size for j in range(k)] for size in sizes])
    gold = np.array([draw(st.integers(0, size - 1)) for size in sizes])
    return np.where(mask, scores, np.nan).astype(np.float32), mask, gold


@given(questions())
def test_against_the_definitions(case: tuple[Any, Any, Any]) -> None:
    scores, mask, gold = case
    p = decision.probabilities(scores, mask)
    margin = decision.margin(p, mask, gold)
    correct = decision.correctness(scores, mask, gold)
    logit = decision.margin(scores, mask, gold)
    for depth in range(len(scores)):
        for i in range(scores.shape[1]):
            z = [float(scores[depth, i, o]) for o in range(scores.shape[2]) if mask[i, o]]
            total = sum(math.exp(v) for v in z)
            expected = [math.exp(v) / total for v in z]
            np.testing.assert_allclose(p[depth, i][mask[i]], expected, rtol=1e-9)
            others = [v for o, v in enumerate(expected) if o != gold[i]]
            np.testing.assert_allclose(margin[depth, i], expected[gold[i]] - max(others), atol=1e-12)
            np.testing.assert_allclose(
                logit[depth, i], z[gold[i]] - max(v for o, v in enumerate(z) if o != gold[i]), atol=1e-5
            )
            winners = [o for o, v in enumerate(z) if v == max(z)]
            np.testing.assert_allclose(correct[depth, i], (gold[i] in winners) / len(winners))


@given(questions(), st.floats(-50, 50))
def test_properties(case: tuple[Any, Any, Any], shift: float) -> None:
    scores, mask, gold = case
    p = decision.probabilities(scores, mask)
    margin = decision.margin(p, mask, gold)
    assert ((margin >= -1) & (margin <= 1)).all()
    np.testing.assert_allclose(p.sum(-1), 1)
    np.testing.assert_allclose(decision.votes(scores, mask).sum(-1), 1)
    moved = decision.probabilities(scores.astype(np.float64) + shift, mask)
    np.testing.assert_allclose(moved, p, atol=1e-9)
    assert ((margin > 0) <= (decision.correctness(scores, mask, gold) == 1)).all()


@given(arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 4)), elements=st.sampled_from([-0.5, 0.0, 0.5])))
def test_decided_from(margins: Any) -> None:
    found = decision.decided_from(margins)
    for i in range(margins.shape[1]):
        depths = [d for d in range(len(margins)) if all(margins[later, i] > 0 for later in range(d, len(margins)))]
        assert found[i] == (min(depths) if depths else -1)


def test_margins_of_all_options() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 4, (3, 6, 4)) / 4
    mask = np.ones((6, 4), bool)
    mask[0, 2:] = False
    found = decision.margins_of_all(values, mask)
    for gold in range(4):
        asked = mask[:, gold]
        own = decision.margin(values, mask, np.full(6, gold))
        np.testing.assert_array_equal(found[:, asked, gold], own[:, asked])
        assert np.isneginf(found[:, ~asked, gold]).all()
