"""Which questions of a task are asked, in which order, and which half they belong to. Everything follows from the seed."""

from collections.abc import Sequence

import numpy as np

from layercliff.choices import Half
from layercliff.errors import TaskError
from layercliff.tasks.question import Question, Task


def draw(
    task: Task, seed: int, limit: int | None = None, shots: int = 0
) -> tuple[tuple[Question, ...], tuple[Question, ...]]:
    """Shuffle, set worked examples aside, then cut to `limit`.

    **Returns** the questions to ask and the `shots` worked examples. These come from the task's own pool; where it has
    none, they are the first of the shuffled questions, and no question of their groups is asked.

    Raises `TaskError` when nothing is left, or for fewer examples than wanted.
    """
    order = np.random.default_rng([seed, 2]).permutation(len(task.questions))
    questions = [task.questions[i] for i in order]
    examples: list[Question] = []
    if shots:
        if task.shots:
            pool = [task.shots[i] for i in np.random.default_rng([seed, 3]).permutation(len(task.shots))]
            examples = pool[:shots]
        else:
            examples = questions[:shots]
            taken = {example.group for example in examples}
            questions = [question for question in questions if question.group not in taken]
        if len(examples) < shots:
            raise TaskError(f"Task {task.name} has {len(examples)} worked examples, fewer than --shots {shots}.")
    questions = questions if limit is None else questions[: max(limit, 0)]
    if not questions:
        raise TaskError(
            f"Task {task.name} has no question left (--limit {limit}, {shots} shots, {len(task.questions)} in all): ask at least one."
        )
    return tuple(questions), tuple(examples)


def halves(questions: Sequence[Question], seed: int, split: int = 0) -> dict[str, Half]:
    """Assign each question, by id, to ``select`` or ``report``: disjoint, whole groups, as even as whole groups allow. Each number of `split`
    is another draw."""
    groups: dict[str, list[str]] = {}
    for question in questions:
        groups.setdefault(question.group, []).append(question.id)
    names = list(groups)
    order = np.random.default_rng([seed, 4, split] if split else [seed, 4]).permutation(len(names))
    sizes: dict[Half, int] = {"select": 0, "report": 0}
    assigned: dict[str, Half] = {}
    for index in order:
        half: Half = "select" if sizes["select"] <= sizes["report"] else "report"
        members = groups[names[index]]
        sizes[half] += len(members)
        assigned.update(dict.fromkeys(members, half))
    return assigned
