"""What verbs have in common: a model and tasks, resolved into the subject of a run before anything is loaded."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from layercliff import limits
from layercliff.choices import DType, Format, Normalisation, Order, Sampler
from layercliff.errors import ModelError, TaskError
from layercliff.models import loading, lookup
from layercliff.models.lookup import LocatedModel
from layercliff.models.model import Model
from layercliff.progress import Note, Report, mute
from layercliff.readout import encoded_task
from layercliff.readout.encoded_task import EncodedTask
from layercliff.run.directory import key
from layercliff.run.subject import Subject, TaskSubject
from layercliff.tasks import registry, splits
from layercliff.tasks.question import Question, Task


@dataclass(frozen=True)
class Setting:
    """A subject with what it stands for: the model, on this machine or in memory, and each task's questions and the worked examples of each."""

    subject: Subject
    source: LocatedModel | Model
    tasks: tuple[Task, ...]
    drawn: tuple[tuple[tuple[Question, ...], tuple[tuple[Question, ...], ...]], ...]
    whole: bool = False

    @staticmethod
    def of(
        model: str | Model | PreTrainedModel,
        task: str | Task | Sequence[Task],
        *,
        tokenizer: PreTrainedTokenizerBase | None,
        format: Format | None,
        shots: int,
        sampler: Sampler = "fixed",
        limit: int | None,
        seed: int,
        dtype: DType | None,
        weights_dtype: DType | None,
        normalisation: Normalisation,
        chat: bool,
        skip_bad_rows: bool,
        report: Report,
        order: Order = "shuffled",
        whole: bool = False,
    ) -> "Setting":
        """Resolve tasks, then bring the model onto this machine. With `whole`, options of every format are scored as continuations, and tasks
        whose own format reads first tokens are asked as *cloze*. Raises `LayercliffError`."""
        limits.check(shots=shots, limit=limit, seed=seed)
        tasks = _tasks(task, seed, skip_bad_rows)
        draw = splits.draw if order == "shuffled" else _first
        drawn = tuple(draw(one, seed, limit, shots, sampler) for one in tasks)
        source = lookup.locate(model, report) if isinstance(model, str) else _in_memory(model, tokenizer, dtype)
        computed: DType = cast(DType, source.dtype) if isinstance(source, Model) else dtype or "float32"
        stored: DType = cast(DType, source.weights_dtype) if isinstance(source, Model) else weights_dtype or computed
        if whole:
            tasks = tuple(replace(t, default_format="cloze") if t.default_format == "first_token" else t for t in tasks)
        subjects = _subjects(tasks, drawn, format)
        subject = Subject(
            model=source.name, revision=source.revision, tasks=subjects, shots=shots, sampler=sampler, limit=limit, seed=seed,
            dtype=computed, weights_dtype=stored, normalisation=normalisation, chat=chat, order=order,
        )  # fmt: skip
        return Setting(subject, source, tasks, drawn, whole)

    def beside(self, task: str | Task | Sequence[Task]) -> "Setting":
        """The same model and settings with other tasks, in their own formats, which stand beside the run's. Raises `TaskError` for one of the run's own."""
        subject = self.subject
        tasks = _tasks(task, subject.seed, skip_bad_rows=False) if task else ()
        if twice := {t.name for t in tasks} & {t.name for t in self.tasks}:
            raise TaskError(
                f"Task {min(twice)} cannot be watched, since it takes part in the choice: leave it out of --watch."
            )
        drawn = tuple(splits.draw(one, subject.seed, subject.limit, subject.shots, subject.sampler) for one in tasks)
        return Setting(subject.model_copy(update={"tasks": _subjects(tasks, drawn, None)}), self.source, tasks, drawn)

    def load(self, device: str, trust_remote_code: bool, report: Report) -> Model:
        """The model itself."""
        if isinstance(self.source, Model):
            return self.source
        report(f"loading {self.source.name}", 0, 1)
        model = loading.load_located(
            self.source, self.subject.dtype, self.subject.weights_dtype, device, trust_remote_code
        )
        report(f"loading {self.source.name}", 1, 1)
        return model

    def ask(self, model: Model, note: Note = mute) -> tuple[EncodedTask, ...]:
        """Every task's questions as they are put to `model`; `note` is told where rows cannot be run as usual."""
        return tuple(
            encoded_task.ask(
                model, task, about.format, questions, examples,
                normalisation=self.subject.normalisation, chat=self.subject.chat, seed=self.subject.seed, whole=self.whole, note=note,
            )
            for task, about, (questions, examples) in zip(self.tasks, self.subject.tasks, self.drawn, strict=True)
        )  # fmt: skip


def _first(
    task: Task, seed: int, limit: int | None, shots: int, sampler: Sampler
) -> tuple[tuple[Question, ...], tuple[tuple[Question, ...], ...]]:
    """What `splits.draw` gives, but the questions in the task's own order, of which `limit` keeps the first, of each subject where there are
    subjects. Raises `TaskError` as it does."""
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
    drawn: Sequence[tuple[tuple[Question, ...], tuple[tuple[Question, ...], ...]]],
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


def _in_memory(model: Model | PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, dtype: DType | None) -> Model:
    if isinstance(model, Model):
        return model
    if tokenizer is None:
        raise ModelError("A loaded network needs its tokenizer: trace(network, task, tokenizer=tokenizer).")
    return Model.of(model, tokenizer, dtype=getattr(torch, dtype) if dtype else None)
