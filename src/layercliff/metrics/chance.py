"""Chance: what is right without reading the question, by guessing or by one answer to all."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from layercliff.choices import Format
from layercliff.metrics.statistics import clustered_interval
from layercliff.tasks.question import Question


def chance(questions: Sequence[Question], form: Format) -> float:
    """The accuracy of guessing, or that of the best constant answer where it is shown to be better.

    Guessing has the mean of 1/K, K the number of options. The constant answer is cross-fitted (`constant_answers`), so
    that its accuracy does not lean upwards. It is better where the 95 % interval of the difference lies above 0. With
    no such condition the larger of both would lean upwards again.

    Args:
        questions: Questions of one task. Each has K options.
        form: The task's format.

    Returns:
        A share. It is held fixed in resamples.
    """
    guessing = np.array([1 / len(question.options) for question in questions])
    answers = constant_answers(questions, form)
    right = np.array([float(a == right_answer(q, form)) for a, q in zip(answers, questions, strict=True)])
    groups = [question.group for question in questions]
    better = len(set(groups)) > 1 and clustered_interval(right - guessing, groups)[0] > 0
    return float((right if better else guessing).mean())


def constant_answers(questions: Sequence[Question], form: Format) -> list[int | str | None]:
    """For each question the most frequent right answer of the other half of the questions.

    Args:
        questions: Questions of one task.
        form: The task's format.

    Returns:
        Positions in *letter*, option strings otherwise. None where there is no other half.
    """
    second = halves(questions).tolist()
    counts: tuple[Counter[int | str], ...] = (Counter(), Counter())
    for question, own in zip(questions, second, strict=True):
        counts[own][right_answer(question, form)] += 1
    best = [most[0][0] if (most := half.most_common(1)) else None for half in counts]
    return [best[not own] for own in second]


def right_answer(question: Question, form: Format) -> int | str:
    """The gold option.

    Args:
        question: A question.
        form: The task's format.

    Returns:
        Its position in *letter*, its string otherwise.
    """
    return question.gold if form == "letter" else question.options[question.gold]


def halves(questions: Sequence[Question]) -> Bool[np.ndarray, " question"]:
    """Two halves of questions, for cross-fitting.

    Whole groups go, in their order, to the half that is smaller. That order was drawn by the seed. A path is measured
    on the `report` half alone, which is halved in the same way.

    Args:
        questions: Questions of one task, in the order in which they are asked.

    Returns:
        True for the second half.
    """
    members: dict[str, list[int]] = {}
    for number, question in enumerate(questions):
        members.setdefault(question.group, []).append(number)
    sizes, second = [0, 0], np.zeros(len(questions), dtype=bool)
    for numbers in members.values():
        half = int(sizes[1] < sizes[0])
        sizes[half] += len(numbers)
        second[numbers] = bool(half)
    return second
