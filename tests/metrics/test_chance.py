"""Chance: guessing, or the best constant answer of the other half."""

import numpy as np
import pytest

from layercliff.metrics.chance import chance, constant_answers, halves
from layercliff.tasks.question import Question


def letters(gold: np.ndarray, n_options: int) -> list[Question]:
    options = tuple("wxyz"[:n_options])
    return [Question(str(i), "q", options, int(right), str(i)) for i, right in enumerate(gold)]


def strings(gold: list[str], *options: str) -> list[Question]:
    return [Question(str(i), "q", options, options.index(right), str(i)) for i, right in enumerate(gold)]


def test_guessing_or_a_constant_that_is_shown_to_be_better() -> None:
    assert chance(letters(np.zeros(10), 4), "letter") == 1
    assert chance(strings(["yes"] * 18 + ["no"] * 2, "no", "yes"), "cloze") == 0.9
    assert chance(strings(["yes"] * 12 + ["no"] * 8, "no", "yes"), "cloze") == 0.5  # .6 of 20 is not shown
    alone = [Question(str(i), "q", (f"{i}a", f"{i}b", f"{i}c")[: 2 + i % 2], 0, str(i)) for i in range(10)]
    assert chance(alone, "cloze") == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert chance(alone, "letter") == 1
    assert chance(alone[:1], "letter") == 0.5
    assert constant_answers(alone[:1], "letter") == [None]


def test_the_constant_is_that_of_the_other_half() -> None:
    assert constant_answers(letters(np.array([0, 1] * 5), 2), "letter") == [1, 0] * 5


def test_groups_stay_whole_and_halves_are_even() -> None:
    groups = ["a", "b", "a", "a", "c", "d", "e", "c"]
    questions = [Question(str(i), "q", ("x", "y"), 0, group) for i, group in enumerate(groups)]
    second = halves(questions)
    assert second.tolist() == [False, True, False, False, True, False, True, True]
    assert halves(questions[:5]).tolist() == second[:5].tolist()


@pytest.mark.parametrize(("shares", "n", "leans"), [((0.25,) * 4, 50, 0.015), ((0.2, 0.7, 0.1), 100, 0.01)])
def test_chance_does_not_lean(shares: tuple[float, ...], n: int, leans: float) -> None:
    """The largest share on the same questions leans by .07 and .05 where letters are balanced."""
    rng = np.random.default_rng(0)
    asked = [letters(np.full(n, right), len(shares)) for right in range(len(shares))]
    drawn = [rng.choice(len(shares), n, p=shares) for _ in range(150)]
    mean = np.mean([chance([asked[right][i] for i, right in enumerate(gold)], "letter") for gold in drawn])
    assert abs(mean - max(shares)) < leans
