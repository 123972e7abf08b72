"""Golds exchanged among questions that could have each other's answer: what is left where nothing is right."""

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Int

from layercliff.choices import Format
from layercliff.tasks.question import Question


class GoldExchange:
    """Exchanges golds among questions with the same options; in *letter*, with as many options.

    Where no other question has them, any option is drawn.

    Args:
        questions: Questions of one task.
        form: The task's format.
    """

    def __init__(self, questions: Sequence[Question], form: Format) -> None:
        self.questions = questions
        alike: dict[Hashable, list[int]] = defaultdict(list)
        for number, question in enumerate(questions):
            alike[len(question.options) if form == "letter" else tuple(sorted(question.options))].append(number)
        self._alike = list(alike.values())
        self._by_text = form != "letter"

    def draw(self, rng: np.random.Generator) -> Int[np.ndarray, " question"]:
        """Exchange golds once.

        Args:
            rng: Decides the exchange.

        Returns:
            [question] Indices of options.
        """
        gold = np.array([question.gold for question in self.questions])
        for numbers in self._alike:
            others = rng.permutation(len(numbers))
            if len(numbers) == 1:
                gold[numbers[0]] = rng.integers(len(self.questions[numbers[0]].options))
            else:
                gold[numbers] = self._given(numbers, others)
        return gold

    def draws(self, n: int, rng: np.random.Generator) -> Int[np.ndarray, "draw question"]:
        """Exchange golds several times at once.

        Args:
            n: Number of exchanges.
            rng: Decides them.

        Returns:
            [draw question] Indices of options.
        """
        gold = np.zeros((n, len(self.questions)), np.int64)
        alone = [numbers[0] for numbers in self._alike if len(numbers) == 1]
        sizes = np.array([len(self.questions[number].options) for number in alone], np.int64)
        gold[:, alone] = rng.integers(0, sizes, size=(n, len(alone)))
        for numbers in self._alike:
            if len(numbers) > 1:
                others = rng.permuted(np.tile(np.arange(len(numbers)), (n, 1)), axis=1)
                gold[:, numbers] = self._given(numbers, others)
        return gold

    def _given(
        self, numbers: Sequence[int], others: Int[np.ndarray, "*draw member"]
    ) -> Int[np.ndarray, "*draw member"]:
        """The golds of the questions `numbers`, each with the right answer of one of the `others` among them."""
        members = [self.questions[number] for number in numbers]
        if not self._by_text:
            return np.asarray(np.array([member.gold for member in members])[others])
        kinds = sorted(members[0].options)
        places = np.array([[member.options.index(kind) for kind in kinds] for member in members])
        right = np.array([kinds.index(member.options[member.gold]) for member in members])
        return np.asarray(places[np.arange(len(members)), right[others]])
