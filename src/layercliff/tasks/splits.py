"""Which questions are asked, in which order, and their halves. All follows from the seed."""

from collections.abc import Sequence
from dataclasses import replace

from layercliff.choices import Half, Sampler
from layercliff.errors import TaskError
from layercliff.random_streams import RandomStream, generator
from layercliff.tasks import shots
from layercliff.tasks.question import Question, Task


def draw(
    task: Task, seed: int, limit: int | None = None, n_shots: int = 0, sampler: Sampler = "fixed"
) -> tuple[tuple[Question, ...], tuple[tuple[Question, ...], ...]]:
    """Shuffle, choose worked examples, then cut to `limit`.

    **Returns** the questions to ask and the `n_shots` worked examples of each (see `layercliff.tasks.shots`). Where
    *fixed* examples come from the questions, no question of their groups is asked.

    Raises `TaskError` where nothing is left, or for too few examples.
    """
    questions, examples = _shuffled(task, seed, n_shots, sampler)
    questions = questions if limit is None else questions[:limit]
    if not questions:
        raise TaskError(
            f"Task {task.name} has no question left, since its {len(task.questions)} are worked examples or of their "
            "groups: "
            f"use fewer than {n_shots} --shots."
            if n_shots
            else f"Task {task.name} has no question: give it some."
        )
    return tuple(questions), tuple(examples.get(question.id, ()) for question in questions)


def unasked(
    task: Task, seed: int, limit: int | None = None, n_shots: int = 0, sampler: Sampler = "fixed"
) -> tuple[tuple[Question, ...], tuple[tuple[Question, ...], ...]]:
    """What `draw` leaves, for training: questions beyond `limit`, then the task's pool, each with its worked
    examples.

    None shares a group or a text with an asked question, or is a worked example. A pool numbers its own questions: a
    group named after one of them is no group of the asked ones. The samplers of lm-evaluation-harness have no
    examples for a pool, which is then left out. May be empty. Raises `TaskError` as `draw` does.
    """
    asked, shown = draw(task, seed, limit, n_shots, sampler)
    taken = {shot.id for examples in shown for shot in examples}
    groups, texts = {q.group for q in asked}, {(q.text, q.options) for q in asked}
    questions, examples = _shuffled(task, seed, n_shots, sampler)
    found = [q for q in questions if q.group not in groups and q.id not in taken]
    if not n_shots or sampler == "fixed":
        of_subject = {q.subject: shown[index] for index, q in enumerate(asked)}
        pool = [q for q in task.shots if q.id not in taken and (q.group == q.id or q.group not in groups)]
        pool = [replace(q, id=f"pool {q.id}") for q in pool if not n_shots or q.subject in of_subject]
        examples |= {q.id: of_subject.get(q.subject, ()) for q in pool}
        found += pool
    found = [q for q in found if (q.text, q.options) not in texts]
    return tuple(found), tuple(examples.get(q.id, ()) for q in found)


def _shuffled(
    task: Task, seed: int, n_shots: int, sampler: Sampler
) -> tuple[list[Question], dict[str, tuple[Question, ...]]]:
    """All questions shuffled, without those set aside as worked examples, and the examples of each by id."""
    order = generator(RandomStream.QUESTIONS, seed).permutation(len(task.questions))
    questions = [task.questions[i] for i in order]
    if n_shots and sampler == "fixed":
        by_subject = shots.fixed(task, questions, seed, n_shots)
        taken = set() if task.shots else {shot.group for found in by_subject.values() for shot in found}
        questions = [question for question in questions if question.group not in taken]
        return questions, {question.id: by_subject[question.subject] for question in questions}
    return questions, shots.of_harness(task, sampler, n_shots) if n_shots else {}


def halves(questions: Sequence[Question], seed: int, split: int = 0) -> dict[str, Half]:
    """Assign each question, by id, to ``select`` or ``report``. Groups stay whole; halves are as even as they allow.

    Each `split` is another draw.
    """
    groups: dict[str, list[str]] = {}
    for question in questions:
        groups.setdefault(question.group, []).append(question.id)
    names = list(groups)
    order = generator(RandomStream.HALVES, seed, split).permutation(len(names))
    sizes: dict[Half, int] = {"select": 0, "report": 0}
    assigned: dict[str, Half] = {}
    for index in order:
        half: Half = "select" if sizes["select"] <= sizes["report"] else "report"
        members = groups[names[index]]
        sizes[half] += len(members)
        assigned.update(dict.fromkeys(members, half))
    return assigned
