"""Prune iteratively: which blocks can go, where the cliff is."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from layercliff import machine
from layercliff.choices import DType, Format, Normalisation, Score
from layercliff.errors import RunError, TaskError
from layercliff.metrics import collapse, decision
from layercliff.metrics.analysis import chance_of
from layercliff.models.model import Model
from layercliff.progress import Note, Report, mute, silent
from layercliff.pruning.iterative import Selection
from layercliff.readout.asked import Asked
from layercliff.readout.lens import LogitLens
from layercliff.readout.read import Reader, Reading
from layercliff.readout.trace import Trace
from layercliff.report import page
from layercliff.results import pruned as results
from layercliff.results.pruned import Pruned, Step
from layercliff.store import Journal, RunDirectory, key
from layercliff.tasks.question import Task
from layercliff.verbs.subject import Setting

SURE = 3  # steps below the collapse line, one after another, after which a path until the collapse ends


def prune(
    model: str | Model | PreTrainedModel,
    task: str | Task | Sequence[Task],
    *,
    remove: int | None = None,
    to_ratio: float | None = None,
    score: Score = "margin",
    protect: Sequence[int] = (),
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
    batch_tokens: int | None = None,
    reuse_bytes: int = 2**31,
    trust_remote_code: bool = False,
    skip_bad_rows: bool = False,
    out: str | Path | None = None,
    report: Report = silent,
    note: Note = mute,
) -> Pruned:
    """Remove one block after another (Shi et al. 2026, iterative pruning), measuring every step on questions that took no part in the choice.

    Each step scores the removal of every kept block outside of `protect` on the ``select`` half of the questions, removes the best
    (of equal ones the later block) and reads the model that is left at all its depths on the ``report`` half. The path ends after
    `remove` blocks, at the share `to_ratio` of all blocks, or, with neither, when three steps in a row lie below the collapse line.
    `score` is ``margin`` (mean Decision Margin), ``accuracy`` or ``option_nll`` (log-probability of the gold option). Up to `reuse_bytes` of states
    are kept from one step for the next; they change no number. The other arguments are those of `layercliff.trace`.

    With `out`, results lie in ``DIR/prune/<score>/``; an interrupted path goes on where it stopped, a finished one is read, and a
    longer one begins with the steps of a shorter one.

    **Returns** a `Pruned`. Raises `LayercliffError`, in one sentence.
    """
    begin = time.perf_counter()
    setting = Setting.of(
        model, task, tokenizer=tokenizer, format=format, shots=shots, limit=limit, seed=seed, dtype=dtype, weights_dtype=weights_dtype,
        normalisation=normalisation, chat=chat, skip_bad_rows=skip_bad_rows, report=report,
    )  # fmt: skip
    with ExitStack() as stack:
        run = journal = None
        if out is not None:
            run = RunDirectory(Path(out))
            stack.enter_context(run.lock())
            run.claim(setting.subject)
            wanted = {"remove": remove, "to_ratio": to_ratio, "protect": sorted(protect)}
            if (kept := results.read(run, score)) is not None and kept.cost.get("wanted") == wanted:
                note(f"{run.path} holds this path already; it is read, not computed again.")
                page.write(run)
                return kept
            journal = stack.enter_context(Journal(run.path / results.FOLDER / score / "journal.sqlite"))
        loaded = setting.load(device, trust_remote_code, report)
        last = _last_step(loaded.n_layers, remove, to_ratio, protect)
        asked = setting.ask(loaded)
        walk = _Walk(
            loaded,
            asked,
            score,
            protect,
            loaded.batch_tokens(batch_tokens),
            reuse_bytes,
            journal,
            setting.subject.model_dump(),
            report,
            note,
        )
        steps, traces = walk.until(last, collapsed=remove is None and to_ratio is None)
        cost = {
            "wanted": {"remove": remove, "to_ratio": to_ratio, "protect": sorted(protect)},
            "device": str(loaded.device),
            "selection_block_passes": walk.selection.passes,
            "selection_tokens": sum(b.padded_tokens for batches in walk.selection.batches for b in batches),
            "selection_seconds": [round(s, 3) for s in walk.selection_seconds],
            "report_seconds": [round(s, 3) for s in walk.report_seconds],
            "seconds": round(time.perf_counter() - begin, 2),
            "peak_memory_bytes": machine.peak_memory_bytes(),
            "versions": machine.versions(),
        }
        n_select = sum(len(part.questions) for part in walk.selection.asked)
        pruned = Pruned(setting.subject, score, tuple(sorted(protect)), n_select, tuple(steps), tuple(traces), cost)
        if run is not None:
            results.write(run, pruned)
            page.write(run)
    return pruned


def _last_step(n_layers: int, remove: int | None, to_ratio: float | None, protect: Sequence[int]) -> int:
    """How many blocks a path may remove at most. Raises `RunError` for what the model does not have."""
    unknown = [block for block in protect if not 0 <= block < n_layers]
    if unknown:
        raise RunError(f"Block {unknown[0]} cannot be protected: the model has blocks 0-{n_layers - 1}.")
    most = n_layers - max(1, len(set(protect)))
    if remove is not None and to_ratio is not None:
        raise RunError("A path ends after --remove blocks or at --to-ratio, not both: give one of them.")
    if to_ratio is not None and not 0 < to_ratio < 1:
        raise RunError(f"The ratio {to_ratio} is not between 0 and 1: it is the share of blocks to remove.")
    wanted = remove if remove is not None else round(to_ratio * n_layers) if to_ratio is not None else most
    if not 1 <= wanted <= most:
        raise RunError(f"{wanted} blocks cannot be removed: the model has {n_layers}, of which 1 to {most} can go.")
    return wanted


class _Walk:
    """A path, step by step: selection on one half, measurement on the other."""

    def __init__(
        self, model: Model, asked: Sequence[Asked], score: Score, protect: Sequence[int], batch_tokens: int, reuse_bytes: int,
        journal: Journal | None, subject: object, report: Report, note: Note,
    ) -> None:  # fmt: skip
        self.model, self.journal, self.subject, self.say, self.note = model, journal, subject, report, note
        self.batch_tokens = batch_tokens
        self.measured = [part.of("report") for part in asked]
        selected = [part.of("select") for part in asked]
        for part in (*self.measured, *selected):
            if not part.questions:
                raise TaskError(
                    f"Task {part.task.name} has too few questions to select on one half and report on the other: ask at least 2 groups."
                )
        self.selection = Selection(
            model, selected, score, protect, batch_tokens=batch_tokens, reuse_bytes=reuse_bytes, journal=journal, subject=subject, report=report
        )  # fmt: skip
        self.selection_seconds: list[float] = []
        self.report_seconds: list[float] = []

    def until(self, last: int, collapsed: bool) -> tuple[list[Step], list[Trace]]:
        """Walk `last` steps, or until the collapse is sure."""
        kept = tuple(range(self.model.n_layers))
        steps, traces = [Step(kept, None, {})], [self._measure(kept)]
        while len(steps) <= last and not (collapsed and self._collapsed(traces)):
            self.say("removing blocks", len(steps) - 1, last)
            begin = time.perf_counter()
            choice = self.selection.choose(kept)
            self.selection_seconds.append(time.perf_counter() - begin)
            self.selection.remove(choice.removed)
            kept = tuple(block for block in kept if block != choice.removed)
            steps.append(Step(kept, choice.removed, choice.scores))
            traces.append(self._measure(kept))
        self.say("removing blocks", last, last)
        return steps, traces

    def _measure(self, kept: tuple[int, ...]) -> Trace:
        begin = time.perf_counter()
        trace = Trace.joined([self._read(part, kept) for part in self.measured])
        self.report_seconds.append(time.perf_counter() - begin)
        return trace

    def _read(self, part: Asked, kept: tuple[int, ...]) -> Trace:
        reader = Reader(self.model, LogitLens(self.model.anatomy.unembedding), part.form, "none", self.note)
        readings = []
        for batch in part.batches(self.batch_tokens, self.model.anatomy.shares):
            name = key("report", self.subject, kept, part.form, batch)
            if self.journal and (found := self.journal.get(name)):
                reading = Reading(found["scores"], found["mass"])
            else:
                reading = reader.read(batch, kept)
                if self.journal:
                    self.journal.put(name, {"scores": reading.scores, "mass": reading.mass})
            readings.append((batch, reading))
        return part.trace(readings)

    @staticmethod
    def _collapsed(traces: Sequence[Trace]) -> bool:
        """Whether the last few steps all lie below half of the dense model's above-chance accuracy."""
        if len(traces) <= SURE:
            return False
        accuracy = np.array([decision.correctness(t.scores[-1:], t.mask, t.gold).mean() for t in traces])
        step = collapse.collapse_steps(accuracy, chance_of(traces[0]))
        return bool(step <= len(traces) - SURE)
