"""Worked examples: which ones stand before which question.

*fixed* draws one set by the seed and shows it to every question. *first_n* and *per_item* are the samplers of
lm-evaluation-harness 0.4.13 (`lm_eval.api.samplers`). *first_n* takes the first n of the pool. *per_item* draws n
anew for each document, in the documents' order, by ``random.Random(1234)``.

Where the harness knows no test split, the pool is the split that it asks. It then draws one example more
(`Task.spare_shot`) and drops the asked document. So do we wherever the pool is the questions themselves. Questions of
a subject take examples of their subject, as if each were a task.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import islice

from layercliff.choices import Sampler
from layercliff.errors import TaskError
from layercliff.random_streams import RandomStream, generator
from layercliff.tasks.question import Question, Task

HARNESS_SEED = 1234


def fixed(task: Task, questions: Sequence[Question], seed: int, shots: int) -> dict[str, tuple[Question, ...]]:
    """The examples of each subject, from the task's pool, or the first of the shuffled `questions` where there is
    none.

    Raises `TaskError` for too few examples.
    """
    order = generator(RandomStream.EXAMPLES, seed).permutation(len(task.shots))
    pool = _by_subject([task.shots[i] for i in order] if task.shots else questions)
    return {subject: tuple(_enough(task, pool.get(subject, [])[:shots], shots)) for subject in _by_subject(questions)}


def of_harness(task: Task, sampler: Sampler, shots: int) -> dict[str, tuple[Question, ...]]:
    """The examples of each question, by id, as lm-evaluation-harness takes them. Raises `TaskError` for too few."""
    pools = _by_subject(task.shots or task.questions)
    spare = task.spare_shot or not task.shots
    found = {}
    for subject, questions in _by_subject(task.questions).items():
        pool, draw = pools.get(subject, []), random.Random(HARNESS_SEED)
        for question in questions:
            drawn = pool if sampler == "first_n" else draw.sample(_enough(task, pool, shots + spare), shots + spare)
            examples = list(islice(_without(question if spare else None, drawn), shots))
            if len(examples) < shots:  # the pool holds the document more than once
                others = _enough(task, list(_without(question, pool)), shots)
                examples = draw.sample(others, shots)
            found[question.id] = tuple(examples)
    return found


def _without(document: Question | None, pool: Sequence[Question]) -> Iterator[Question]:
    """The examples that differ from `document`, whatever their names."""
    for shot in pool:
        if document is None or (shot.text, shot.options, shot.gold) != (document.text, document.options, document.gold):
            yield shot


def _by_subject(questions: Sequence[Question]) -> dict[str, list[Question]]:
    found: dict[str, list[Question]] = {}
    for question in questions:
        found.setdefault(question.subject, []).append(question)
    return found


def _enough(task: Task, examples: list[Question], wanted: int) -> list[Question]:
    if len(examples) < wanted:
        raise TaskError(
            f"Task {task.name} has {len(examples)} worked examples where {wanted} are needed: use fewer --shots."
        )
    return examples
