"""Which questions of a task are asked, in which order, and which half they belong to. Everything follows from the seed."""

from collections.abc import Sequence

import numpy as np

from layercliff.choices import Half, Sampler
from layercliff.errors import TaskError
from layercliff.tasks import shots
from layercliff.tasks.question import Question, Task


def draw(
    task: Task, seed: int, limit: int | None = None, n_shots: int = 0, sampler: Sampler = "fixed"
) -> tuple[tuple[Question, ...], tuple[tuple[Question, ...], ...]]:
    """Shuffle, choose worked examples, then cut to `limit`.

    **Returns** the questions to ask and the `n_shots` worked examples of each (see `layercliff.tasks.shots`). *fixed* examples out of the
    questions themselves are set aside: no question of their groups is asked.

    Raises `TaskError` when nothing is left, or for fewer examples than wanted.
    """
    order = np.random.default_rng([seed, 2]).permutation(len(task.questions))
    questions = [task.questions[i] for i in order]
    examples: dict[str, tuple[Question, ...]] = {}
    if n_shots and sampler == "fixed":
        by_subject = shots.fixed(task, questions, seed, n_shots)
        taken = set() if task.shots else {shot.group for found in by_subject.values() for shot in found}
        questions = [question for question in questions if question.group not in taken]
        examples = {question.id: by_subject[question.subject] for question in questions}
    elif n_shots:
        examples = shots.of_harness(task, sampler, n_shots)
    questions = questions if limit is None else questions[: max(limit, 0)]
    if not questions:
        raise TaskError(
            f"Task {task.name} has no question left (--limit {limit}, {n_shots} shots, {len(task.questions)} in all): ask at least one."
        )
    return tuple(questions), tuple(examples.get(question.id, ()) for question in questions)


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
