"""What analyses have in common: a run directory's subject, lock and journal, the batches read once, what it cost."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import Tensor

from layercliff import machine
from layercliff.analyses.trace import result as traced
from layercliff.analyses.trace.result import Traced
from layercliff.choices import Apart
from layercliff.errors import RunError
from layercliff.metrics.analysis import analyse
from layercliff.metrics.statistics import RESAMPLES
from layercliff.models.blockwise_pass import BlockwisePass
from layercliff.models.model import Model
from layercliff.progress import Report
from layercliff.pruning import result as pruned
from layercliff.readout.batches import Batch
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.lens import Lens, LogitLens
from layercliff.readout.read import MakeStates, Reader, read_once
from layercliff.readout.trace import Trace
from layercliff.run.directory import JOURNAL, Journal, RunDirectory, key
from layercliff.run.resolved import ResolvedRun
from layercliff.run.spec import AnalysisSpec, RunOptions
from layercliff.run.subject import said

Kept = TypeVar("Kept")

STANDALONE = {traced.FOLDER: "trace", "evaluate": "evaluation"}
"""Folders of results that do not look at a trace, and what they hold."""


class _Told:
    """Tells of the progress of batches, state by state. A batch whose reading is kept counts at once."""

    def __init__(
        self, report: Report, what: str, planned: Sequence[tuple[EncodedTask, tuple[Batch, ...]]], n_states: int
    ) -> None:
        self.report, self.what, self.n_states = report, what, n_states
        self.total = sum(batch.padded_tokens for _, batches in planned for batch in batches) * n_states
        self.before = self.done = 0

    def each(self, states: MakeStates, passage: BlockwisePass, batch: Batch) -> Iterator[tuple[int, Tensor]]:
        """The states of a batch, each told of."""
        for state in states(passage, batch):
            yield state
            self.done += batch.padded_tokens
            self.report(self.what, min(self.done, self.total), self.total)

    def finished(self, batch: Batch) -> None:
        """All of a batch is done."""
        self.before += batch.padded_tokens * self.n_states
        self.done = self.before
        self.report(self.what, self.done, self.total)


class Session(Generic[Kept]):
    """An analysis on its way.

    Attributes:
        setting: Model and tasks, found.
        options: How it is run.
        wanted: Settings of the analysis. Journal keys hash them.
        run: The run directory, if there is one.
        journal: Keeps finished batches, if there is a run directory.
        kept: What the run directory holds of the analysis already, if it is what is wanted.
        batches: Number of batches read up to now.
    """

    def __init__(self, setting: ResolvedRun, options: RunOptions, wanted: Mapping[str, Any]) -> None:
        self.setting, self.options, self.wanted = setting, options, wanted
        self.run: RunDirectory | None = None
        self.journal: Journal | None = None
        self.kept: Kept | None = None
        self.begin = time.perf_counter()
        self.batches = 0

    @cached_property
    def model(self) -> Model:
        """Loaded when it is first needed."""
        return self.setting.load(self.options)

    @cached_property
    def asked(self) -> tuple[EncodedTask, ...]:
        """Every task as it is put to the model."""
        return self.setting.ask(self.model, self.options.note)

    def batched(
        self, parts: Sequence[EncodedTask], apart: Apart = "nothing"
    ) -> list[tuple[EncodedTask, tuple[Batch, ...]]]:
        """Every task's rows in batches.

        Args:
            parts: Tasks as token rows.
            apart: What shares no token that is run.

        Returns:
            Each task with its batches.
        """
        budget = self.model.batch_tokens(self.options.batch_tokens)
        return [(part, part.batches(budget, apart)) for part in parts]

    def traces(
        self,
        planned: Sequence[tuple[EncodedTask, tuple[Batch, ...]]],
        states: Callable[[EncodedTask], MakeStates],
        n_states: int,
        what: str,
        model: Model | None = None,
        lens: Lens | None = None,
    ) -> Trace:
        """Read states of every batch, through the logit lens or another. The journal keeps what is finished.

        Args:
            planned: Each task with its batches.
            states: Makes the states of a task's batches, from a blockwise pass.
            n_states: States per batch.
            what: What they are. Progress and journal keys say it.
            model: Default: the run's.
            lens: Default: the logit lens.

        Returns:
            A trace of all tasks with a row for each state.
        """
        model = model or self.model
        lens = lens or LogitLens(model.anatomy.unembedding)
        told = _Told(self.options.report, what, planned, n_states)
        found = []
        for part, batches in planned:
            reader = Reader(model, lens, part.reading, "none", self.options.note)
            readings = []
            for batch in batches:
                name = key(what, self.setting.subject.model_dump(), self.wanted, part.form, batch)
                read = partial(reader.read, batch, partial(told.each, states(part)))
                readings.append((batch, read_once(self.journal, name, read)))
                told.finished(batch)
                self.batches += 1
            found.append(part.trace(readings))
        return Trace.joined(found)

    @cached_property
    def traced(self) -> Traced | None:
        """The trace that the run directory holds. Raises `RunError` where it is damaged."""
        return traced.read(self.run) if self.run else None

    def transition(self, trace: Trace) -> int | None:
        """T of the run directory's trace.

        Args:
            trace: Is analysed where the run directory has none.

        Returns:
            A depth, or None where undecided.
        """
        if self.traced is not None:
            return self.traced.transition_depth
        found = analyse(trace, RESAMPLES, self.setting.subject.seed)
        return (found.get("joint") or next(iter(found.values()))).transition.depth

    def cost(self, passes: int | float) -> dict[str, Any]:
        """What it took.

        Args:
            passes: Block passes of a batch, on average.

        Returns:
            Device, batches, block passes, seconds, memory and versions.
        """
        return {
            "device": str(self.model.device) if self.batches else "",  # what needs no pass loads no model
            "batches": self.batches,
            "block_passes": round(self.batches * passes),
            **self.spent(),
        }

    def spent(self) -> dict[str, Any]:
        """Seconds and memory up to now, and the versions that were at work."""
        return {
            "seconds": round(time.perf_counter() - self.begin, 2),
            "peak_memory_bytes": machine.peak_memory_bytes(),
            "versions": machine.versions(),
        }


@contextmanager
def session(
    spec: AnalysisSpec,
    folder: str,
    wanted: Mapping[str, Any],
    read: Callable[[RunDirectory], Kept | None],
    about: Callable[[Kept], Mapping[str, Any]],
    *,
    guarded: Sequence[str] = (),
    setting: ResolvedRun | None = None,
) -> Iterator[Session[Kept]]:
    """Resolve what a spec is about, lock and claim its run directory, and open a journal in its folder.

    The journal is removed when the analysis is written.

    Args:
        spec: What is asked for.
        folder: Of the analysis in the run directory.
        wanted: Settings of the analysis.
        read: What a run directory holds of it, or None.
        about: Settings that such a result was made with. They are compared with `wanted`.
        guarded: Settings by which a stored result may be worth more than what would replace it.
        setting: Model and tasks, where they are found already.

    Yields:
        The session.

    Raises:
        RunError: Where `resume` is wanted and something would be lost by replacing it.
    """
    this: Session[Kept] = Session(setting or ResolvedRun.of(spec, report=spec.report), spec, wanted)
    if spec.out is None:
        yield this
        return
    this.run = run = RunDirectory(Path(spec.out))
    with run.lock():
        run.claim(this.setting.subject)
        if not spec.resume:
            run.forget(folder)
        kept = read(run)
        if kept is not None and about(kept) == wanted:
            spec.note(
                f"{run.path} holds this {STANDALONE.get(folder, 'analysis')} already; it is read, not computed again."
            )
            run.settle(folder)
            this.kept = kept
            yield this
            return
        if kept is not None:
            _guard(run, folder, about(kept), wanted, guarded)
        with Journal(run.path / folder / JOURNAL) as this.journal:
            if folder not in STANDALONE:
                _ = this.traced  # a damaged one is refused before anything is computed
            yield this
            this.journal.remove()


def _guard(
    run: RunDirectory, folder: str, had: Mapping[str, Any], wanted: Mapping[str, Any], names: Sequence[str]
) -> None:
    """Raise `RunError` where an analysis would replace one that has something it has not, unless that is of a path that
    is gone."""
    if "criterion" in had and not pruned.current(run, had):
        return
    lost = [name for name in names if name in had and not _has_all(name, wanted.get(name), had[name])]
    if lost:
        phrases = [
            f"{name} is {said(_listed(had[name]))} there and {said(_listed(wanted.get(name)))} here" for name in lost
        ]
        raise RunError(
            f"{run.path / folder} holds results that these would replace: {'; '.join(phrases)}. Ask for all of it at "
            "once, give --fresh to replace them, or choose another --out."
        )


def _has_all(name: str, new: Any, old: Any) -> bool:
    """Whether a setting asks for what another did, or for more of it: of more draws the first are the same."""
    if isinstance(old, list | dict) and isinstance(new, list | dict):
        return set(old) <= set(new)
    return bool(new == old or (name == "draws" and new >= old))


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, dict) else value
