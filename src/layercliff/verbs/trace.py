"""Trace where a model decides: option scores at every depth, and what they say."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from layercliff import machine
from layercliff.choices import DType, Format, Normalisation, OptionMass
from layercliff.config import Subject, TaskSubject
from layercliff.errors import ModelError
from layercliff.metrics.analysis import analyse
from layercliff.metrics.statistics import RESAMPLES
from layercliff.models import loading, sources
from layercliff.models.model import Model
from layercliff.progress import Report, silent
from layercliff.readout import batches, encode
from layercliff.readout.batches import Batch
from layercliff.readout.lens import LogitLens
from layercliff.readout.read import Reader, Reading
from layercliff.readout.trace import Trace, TracedTask
from layercliff.report import page
from layercliff.results import traced as results
from layercliff.results.traced import Traced
from layercliff.store import Journal, RunDirectory, key
from layercliff.tasks import prompts, registry, splits
from layercliff.tasks.question import Question, Task

Note = Callable[[str], None]


def trace(
    model: str | Model | PreTrainedModel,
    task: str | Task | Sequence[Task],
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    format: Format | None = None,
    shots: int = 0,
    limit: int | None = None,
    seed: int = 0,
    dtype: DType | None = None,
    weights_dtype: DType | None = None,
    device: str = "auto",
    normalisation: Normalisation = "char",
    chat: bool = False,
    option_mass: OptionMass = "last",
    batch_tokens: int | None = None,
    trust_remote_code: bool = False,
    skip_bad_rows: bool = False,
    out: str | Path | None = None,
    report: Report = silent,
    note: Note = lambda _: None,
) -> Traced:
    """Read the options' scores of every question at every depth, and find where the decision forms.

    `model` is a packaged short name, a directory, a ``.gguf`` file, a hub id, or a loaded network (with its `tokenizer`).
    `task` is a name, several joined by commas, a file of questions, or `Task` objects. `format` is ``letter``, ``cloze`` or
    ``first_token`` (default: each task's own), `shots` the number of worked examples, `limit` cuts each task after a shuffle by
    `seed`. `dtype` (default float32, or a loaded network's own) is what blocks compute in, `weights_dtype` what weights are
    stored in. `option_mass` says at which depths the options' share of the whole vocabulary is computed: it multiplies
    the whole head.

    With `out`, results are kept in that run directory: an interrupted trace goes on where it stopped, a finished one is read.

    **Returns** a `Traced`. Raises `LayercliffError` (model, task or directory that cannot be used), in one sentence.
    """
    begin = time.perf_counter()
    tasks = (
        registry.load(task, seed, skip_bad_rows)
        if isinstance(task, str)
        else (task,)
        if isinstance(task, Task)
        else tuple(task)
    )
    drawn = [splits.draw(one, seed, limit, shots) for one in tasks]
    forms = [format or one.default_format for one in tasks]
    located = sources.locate(model, report) if isinstance(model, str) else _wrap(model, tokenizer, dtype)
    computed: DType = dtype or (cast(DType, located.dtype) if isinstance(located, Model) else "float32")
    stored: DType = cast(DType, located.weights_dtype) if isinstance(located, Model) else weights_dtype or computed
    subject = Subject(
        model=located.name,
        revision=located.revision,
        tasks=tuple(
            TaskSubject(
                name=t.name,
                format=f,
                source=t.source,
                split=t.split,
                digest=key(t.digest, [q.id for q in examples])[:16],
            )
            for t, f, (_, examples) in zip(tasks, forms, drawn, strict=True)
        ),
        shots=shots,
        limit=limit,
        seed=seed,
        dtype=computed,
        weights_dtype=stored,
        normalisation=normalisation,
        chat=chat,
    )

    with ExitStack() as stack:
        run = journal = None
        if out is not None:
            run = RunDirectory(Path(out))
            stack.enter_context(run.lock())
            run.claim(subject)
            if (kept := results.read(run)) is not None and kept.cost["option_mass"] == option_mass:
                note(f"{run.path} holds this trace already; it is read, not computed again.")
                page.write(run)
                return kept
            journal = stack.enter_context(Journal(run.path / results.FOLDER / "journal.sqlite"))
        loaded = (
            located
            if isinstance(located, Model)
            else _load(located, computed, weights_dtype, device, trust_remote_code, report)
        )
        reading = _Pass(loaded, subject, option_mass, batch_tokens, journal, report, note)
        parts = [reading.task(*arguments) for arguments in zip(tasks, forms, drawn, strict=True)]
        joined = Trace.joined([reading.read(part) for part in parts])
        cost = {
            "device": str(loaded.device),
            "option_mass": option_mass,
            "tokens": reading.tokens,
            "batches": reading.batches,
            "block_passes": reading.block_passes,
            "seconds": round(time.perf_counter() - begin, 2),
            "peak_memory_bytes": machine.peak_memory_bytes(),
            "versions": machine.versions(),
        }
        traced = Traced(subject, joined, analyse(joined, RESAMPLES, seed), cost)
        if run is not None and journal is not None:
            results.write(run, traced)
            journal.remove()
            page.write(run)
    return traced


def _wrap(model: Model | PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, dtype: DType | None) -> Model:
    if isinstance(model, Model):
        return model
    if tokenizer is None:
        raise ModelError("A loaded network needs its tokenizer: trace(network, task, tokenizer=tokenizer).")
    import torch

    return Model.of(model, tokenizer, dtype=getattr(torch, dtype) if dtype else None)


def _load(
    located: sources.Located, dtype: DType, weights_dtype: DType | None, device: str, trust: bool, report: Report
) -> Model:
    report(f"loading {located.name}", 0, 1)
    model = loading.load_located(located, dtype, weights_dtype, device, trust)
    report(f"loading {located.name}", 1, 1)
    return model


class _Part:
    """One task made into batches."""

    def __init__(
        self,
        task: Task,
        form: Format,
        questions: tuple[Question, ...],
        encoded: encode.Encoded,
        planned: tuple[Batch, ...],
    ) -> None:
        self.task, self.form, self.questions, self.encoded, self.batches = task, form, questions, encoded, planned


class _Pass:
    """The pass of all tasks' batches through the model, with a journal of finished batches."""

    def __init__(
        self,
        model: Model,
        subject: Subject,
        option_mass: OptionMass,
        batch_tokens: int | None,
        journal: Journal | None,
        report: Report,
        note: Note,
    ) -> None:
        self.model, self.subject, self.option_mass, self.journal, self.report, self.note = (
            model,
            subject,
            option_mass,
            journal,
            report,
            note,
        )
        self.budget = batch_tokens or batches.DEFAULT_TOKENS.get(model.device.type, batches.DEFAULT_TOKENS["cpu"])
        self.total = self.done = self.tokens = self.batches = self.block_passes = 0

    def task(self, task: Task, form: Format, drawn: tuple[tuple[Question, ...], tuple[Question, ...]]) -> _Part:
        """Encode the questions of a task and plan their batches."""
        questions, examples = drawn
        chat = encode.chat_template(self.model.tokenizer) if self.subject.chat else None
        asked = [prompts.ask(task, question, form, examples, chat) for question in questions]
        encoded = encode.encode(asked, form, self.model.tokenizer, self.model.max_positions)
        planned = batches.plan(encoded.rows, self.budget)
        self.total += sum(batch.padded_tokens for batch in planned)
        return _Part(task, form, questions, encoded, planned)

    def read(self, part: _Part) -> Trace:
        """Read all batches of a task and put their rows back in the order of its questions."""
        reader = Reader(self.model, LogitLens(self.model.anatomy.unembedding), part.form, self.option_mass, self.note)
        gone = dict(part.encoded.left_out)
        kept = [index for index in range(len(part.questions)) if index not in gone]
        if not kept:
            raise ModelError(
                f"No question of {part.task.name} can be asked as {part.form} of {self.model.name} ({next(iter(gone.values()))}): use another --format."
            )
        place = {index: position for position, index in enumerate(kept)}
        questions = tuple(part.questions[index] for index in kept)
        width = max(len(q.options) for q in questions)
        depths = self.model.n_layers + 1
        scores = np.full((depths, len(kept), width), np.nan, np.float32)
        mass = np.full((depths, len(kept)), np.nan, np.float32)
        for batch in part.batches:
            reading = self._batch(reader, batch)
            for number, row in enumerate(batch.rows):
                at = place[row.question]
                if row.option is None:
                    scores[:, at, : len(row.targets)] = reading.scores[:, number, : len(row.targets)]
                    mass[:, at] = reading.mass[:, number]
                else:
                    size = _size(questions[at].options[row.option], len(row.targets), self.subject.normalisation)
                    scores[:, at, row.option] = reading.scores[:, number, 0] / size
        halves = splits.halves(questions, self.subject.seed)
        left_out = tuple(f"{part.questions[index].id}: {reason}" for index, reason in part.encoded.left_out)
        about = TracedTask(
            part.task.name, part.form, part.task.source, part.task.split, part.task.licence, left_out, part.task.skipped
        )
        return Trace(
            scores,
            np.array([[k < len(q.options) for k in range(width)] for q in questions]),
            np.array([q.gold for q in questions]),
            mass,
            questions,
            (part.task.name,) * len(questions),
            tuple(halves[q.id] for q in questions),
            {part.task.name: about},
        )

    def _batch(self, reader: Reader, batch: Batch) -> Reading:
        name = key(self.subject.model_dump(), reader.form, self.option_mass, reader.lens.name, batch.rows)
        kept = self.journal.get(name) if self.journal else None
        reading = Reading(kept["scores"], kept["mass"]) if kept else reader.read(batch)
        if self.journal and not kept:
            self.journal.put(name, {"scores": reading.scores, "mass": reading.mass})
        self.done += batch.padded_tokens
        self.tokens += sum(len(row.tokens) for row in batch.rows)
        self.batches += 1
        self.block_passes += self.model.n_layers
        self.report("reading the model at every depth", self.done, self.total)
        return reading


def _size(option: str, tokens: int, normalisation: Normalisation) -> int:
    sizes: dict[Normalisation, Any] = {"sum": 1, "token": tokens, "char": len(option), "byte": len(option.encode())}
    return int(sizes[normalisation])
