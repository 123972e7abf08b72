"""Option frequency, its categories and divergences."""

import numpy as np

from layercliff.metrics import decision, frequency
from layercliff.metrics.statistics import Resamples
from layercliff.tasks.question import Question


def ask(*options: str, gold: int = 0, name: str = "") -> Question:
    return Question(name or "/".join(options), "q", options, gold, name or "/".join(options))


MIXED = (ask("x", "y", "z", gold=2), ask("y", "x", "w"), ask("x", "y", gold=1), ask("w", "z", "x", gold=1))


def test_positions_count_usual_numbers_of_options() -> None:
    kinds = frequency.categories(MIXED, "letter")
    assert kinds.labels == ("A", "B", "C")
    assert kinds.counted.tolist() == [True, True, False, True]


def test_strings_pool_those_offered_once() -> None:
    kinds = frequency.categories((*MIXED, ask("only", "x")), "cloze")
    assert kinds.labels == ("x", "y", "w", "z", frequency.RARE)
    assert kinds.labels[kinds.index[4, 0]] == frequency.RARE


def test_shares_against_a_loop() -> None:
    scores = np.random.default_rng(0).normal(size=(3, 4, 3)).astype(np.float32)
    mask = np.array([[True, True, k < len(q.options)] for q in MIXED for k in [2]])
    gold = np.array([q.gold for q in MIXED])
    votes = decision.votes(scores, mask)
    found = frequency.option_frequency(
        votes, gold, frequency.categories(MIXED, "cloze"), Resamples.draw(list("abcd"), 100), 0
    )
    for depth in range(3):
        winners = [q.options[int(np.where(mask[i], scores[depth, i], -np.inf).argmax())] for i, q in enumerate(MIXED)]
        for c, label in enumerate(found.labels):
            assert found.share[depth, c] == winners.count(label) / 4
            assert found.offered[c] == sum(label in q.options for q in MIXED) / 4
            assert found.gold[c] == sum(q.options[q.gold] == label for q in MIXED) / 4
    np.testing.assert_allclose(found.share.sum(1), 1)
