"""Golds exchanged among questions."""

import numpy as np
import pytest

from layercliff.metrics.shuffled_gold import GoldExchange
from layercliff.tasks.question import Question


def questions() -> list[Question]:
    """Three that share options in other orders, one of its own, and one with fewer."""
    shared = [("red", "green", "blue"), ("blue", "red", "green"), ("green", "blue", "red")]
    own = [
        Question(str(n), "?", options, gold, str(n), "")
        for n, (options, gold) in enumerate(zip(shared, (0, 0, 2), strict=True))
    ]
    return [*own, Question("3", "?", ("a", "b", "c"), 1, "3", ""), Question("4", "?", ("x", "y"), 0, "4", "")]


@pytest.mark.parametrize("form", ["letter", "cloze"])
@pytest.mark.parametrize("at_once", [True, False])
def test_answers_are_exchanged_among_those_that_have_them(form: str, at_once: bool) -> None:
    asked, rng = questions(), np.random.default_rng(0)
    exchange = GoldExchange(asked, form)  # type: ignore[arg-type]
    golds = exchange.draws(600, rng) if at_once else np.array([exchange.draw(rng) for _ in range(600)])
    right = np.array([[q.options[g] for q, g in zip(asked, gold, strict=True)] for gold in golds])
    if form == "cloze":
        assert {tuple(sorted(row[:3])) for row in right} == {("blue", "red", "red")}
        free = [3, 4]
    else:
        assert {tuple(sorted(row[:4])) for row in golds.tolist()} == {(0, 0, 1, 2)}
        free = [4]
    for place in free:
        share = (golds[:, place] == 0).mean()
        assert abs(share - 1 / len(asked[place].options)) < 0.08
    first = (golds[:, 0] == 0).mean()
    assert abs(first - (2 / 3 if form == "cloze" else 1 / 2)) < 0.08
