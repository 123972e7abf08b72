"""What candidates are compared by."""

import numpy as np

from layercliff.metrics import decision
from layercliff.pruning import candidates
from layercliff.pruning.criteria.answers import decision_margin, gold_log_probability

SCORES = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
MASK = np.array([[True, True, i % 2 == 0] for i in range(6)])
GOLD = np.array([0, 1, 2, 1, 0, 1])


def test_values_against_loops() -> None:
    p = decision.probabilities(SCORES, MASK)
    for c in range(4):
        for i in range(6):
            assert np.isclose(gold_log_probability(SCORES, MASK, GOLD)[c, i], np.log(p[c, i, GOLD[i]]))
            others = max(p[c, i, o] for o in range(3) if MASK[i, o] and o != GOLD[i])
            assert np.isclose(decision_margin(SCORES, MASK, GOLD)[c, i], p[c, i, GOLD[i]] - others)


def test_one_task_is_compared_by_its_mean() -> None:
    values = np.array([[0.1, 0.3], [0.5, 0.1]])
    np.testing.assert_allclose(candidates.combine([values]), [0.2, 0.3])


def test_tasks_weigh_the_same_whatever_their_spread() -> None:
    wide, narrow = np.array([[10.0], [-10.0], [0.0]]), np.array([[-0.1], [0.1], [0.0]])
    np.testing.assert_allclose(candidates.combine([wide, narrow]), 0, atol=1e-12)
    np.testing.assert_allclose(candidates.combine([wide, np.zeros((3, 1))])[0], np.sqrt(1.5) / 2)


def test_of_equal_candidates_the_later_block_goes() -> None:
    assert candidates.best([0, 3, 7], np.array([0.5, 0.9, 0.9])) == 7
