"""What verbs have in common: a model and tasks, resolved into the subject of a run before anything is loaded."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch

from layercliff.choices import DType, Format, Normalisation, Order, Sampler
from layercliff.errors import ModelError, TaskError
from layercliff.models import loading, lookup
from layercliff.models.lookup import LocatedModel
from layercliff.models.model import Model
from layercliff.progress import Note, Report, mute, silent
from layercliff.readout import encoded_task
from layercliff.readout.encoded_task import EncodedTask, EncodingOptions
from layercliff.run.directory import RunDirectory, key
from layercliff.run.spec import Loading, RunOptions, RunSpec
from layercliff.run.subject import Subject, TaskSubject
from layercliff.tasks import registry, splits
from layercliff.tasks.question import Question, Task

Drawn = tuple[tuple[Question, ...], tuple[tuple[Question, ...], ...]]
"""The questions asked of a task, and the worked examples before each."""


@dataclass(frozen=True)
class ResolvedRun:
    """A subject with what it stands for: the model, on this machine or in memory, and each task's questions and the
    worked examples of each."""

    subject: Subject
    source: LocatedModel | Model
    tasks: tuple[Task, ...]
    drawn: tuple[Drawn, ...]
    whole: bool = False

    @staticmethod
    def of(spec: RunSpec, *, order: Order = "shuffled", whole: bool = False, report: Report = silent) -> "ResolvedRun":
        """Resolve a spec's tasks, then bring its model onto this machine.

        With `whole`, options of every format are scored as continuations, and tasks whose own format reads first
        tokens are asked as *cloze*. Raises `LayercliffError`.
        """
        tasks, drawn = drawn_tasks(spec, order)
        source = _source(spec, report)
        computed: DType = cast(DType, source.dtype) if isinstance(source, Model) else spec.dtype or "float32"
        stored: DType = (
            cast(DType, source.weights_dtype) if isinstance(source, Model) else spec.weights_dtype or computed
        )
        if whole:
            tasks = tuple(replace(t, default_format="cloze") if t.default_format == "first_token" else t for t in tasks)
        subject = Subject(
            model=source.name, revision=source.revision, tasks=_subjects(tasks, drawn, spec.format),
            shots=spec.shots, sampler=spec.sampler, limit=spec.limit, seed=spec.seed, dtype=computed,
            weights_dtype=stored, normalisation=_older_normalisation(spec), chat=spec.chat, order=order,
        )  # fmt: skip
        return ResolvedRun(subject, source, tasks, drawn, whole)

    def beside(self, task: str | Task | Sequence[Task]) -> "ResolvedRun":
        """The same model and settings with other tasks, in their own formats, which stand beside the run's. Raises
        `TaskError` for one of the run's own."""
        subject = self.subject
        tasks = _tasks(task, subject.seed, skip_bad_rows=False) if task else ()
        if twice := {t.name for t in tasks} & {t.name for t in self.tasks}:
            raise TaskError(
                f"Task {min(twice)} cannot be watched, since it takes part in the choice: leave it out of --watch."
            )
        drawn = tuple(splits.draw(one, subject.seed, subject.limit, subject.shots, subject.sampler) for one in tasks)
        return ResolvedRun(
            subject.model_copy(update={"tasks": _subjects(tasks, drawn, None)}), self.source, tasks, drawn
        )

    def load(self, how: Loading) -> Model:
        """The model itself."""
        if isinstance(self.source, Model):
            return self.source
        how.report(f"loading {self.source.name}", 0, 1)
        model = loading.load_located(
            self.source, self.subject.dtype, self.subject.weights_dtype, how.device, how.trust_remote_code
        )
        how.report(f"loading {self.source.name}", 1, 1)
        return model

    def ask(self, model: Model, note: Note = mute) -> tuple[EncodedTask, ...]:
        """Every task's questions as they are put to `model`. `note` is told where rows cannot be run as usual."""
        return tuple(
            encoded_task.ask(
                model,
                task,
                about.format,
                questions,
                examples,
                EncodingOptions(self.subject.normalisation or "sum", self.subject.chat, self.subject.seed, self.whole),
                note,
            )
            for task, about, (questions, examples) in zip(self.tasks, self.subject.tasks, self.drawn, strict=True)
        )


def drawn_tasks(spec: RunSpec, order: Order = "shuffled") -> tuple[tuple[Task, ...], tuple[Drawn, ...]]:
    """The tasks of a spec with the questions that are asked of each. Raises `TaskError`."""
    tasks = _tasks(spec.task, spec.seed, spec.skip_bad_rows)
    draw = splits.draw if order == "shuffled" else _first
    return tasks, tuple(draw(one, spec.seed, spec.limit, spec.shots, spec.sampler) for one in tasks)


def _first(
    task: Task, seed: int, limit: int | None, shots: int, sampler: Sampler
) -> tuple[tuple[Question, ...], tuple[tuple[Question, ...], ...]]:
    """What `splits.draw` gives, but the questions in the task's own order, of which `limit` keeps the first, of each
    subject where there are subjects. Raises `TaskError` as it does."""
    questions, examples = splits.draw(task, seed, None, shots, sampler)
    place = {question.id: position for position, question in enumerate(task.questions)}
    order: list[int] = []
    seen: Counter[str] = Counter()
    for index in sorted(range(len(questions)), key=lambda index: place[questions[index].id]):
        seen[questions[index].subject] += 1
        if limit is None or seen[questions[index].subject] <= limit:
            order.append(index)
    return tuple(questions[index] for index in order), tuple(examples[index] for index in order)


def _subjects(
    tasks: Sequence[Task],
    drawn: Sequence[Drawn],
    format: Format | None,
) -> tuple[TaskSubject, ...]:
    return tuple(
        TaskSubject(
            name=t.name,
            format=format or t.default_format,
            source=t.source,
            split=t.split,
            digest=_digest(t, examples),
            asked_for=t.asked_for,
        )
        for t, (_, examples) in zip(tasks, drawn, strict=True)
    )


def _tasks(task: str | Task | Sequence[Task], seed: int, skip_bad_rows: bool) -> tuple[Task, ...]:
    if isinstance(task, str):
        return registry.load(task, seed, skip_bad_rows)
    return (task,) if isinstance(task, Task) else tuple(task)


def _digest(task: Task, examples: Sequence[tuple[Question, ...]]) -> str:
    return key(task.digest, [[shot.id for shot in shots] for shots in dict.fromkeys(examples)])[:16]


def _older_normalisation(spec: RunSpec) -> Normalisation | None:
    """What decisions divide *cloze* scores by in the run directory of a spec, where version 0.1.0 made it."""
    kept = RunDirectory(Path(spec.out)).subject() if isinstance(spec, RunOptions) and spec.out is not None else None
    return None if kept is None else kept.normalisation


def _source(spec: RunSpec, report: Report) -> LocatedModel | Model:
    if isinstance(spec.model, str):
        return lookup.locate(spec.model, report)
    if isinstance(spec.model, Model):
        return spec.model
    if spec.tokenizer is None:
        raise ModelError("A loaded network needs its tokenizer: trace(network, task, tokenizer=tokenizer).")
    return Model.of(spec.model, spec.tokenizer, dtype=getattr(torch, spec.dtype) if spec.dtype else None)
