"""A path, step by step: chosen on one half of the questions, measured on the other."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from layercliff.errors import RunError, TaskError
from layercliff.metrics import collapse, decision
from layercliff.metrics.analysis import chance_of
from layercliff.models.merged_blocks import ordered, shared_blocks
from layercliff.models.merged_weights import make, weights_replaced
from layercliff.models.model import Model
from layercliff.progress import Note, Report
from layercliff.pruning.step import BlockSelector, Step
from layercliff.readout.batches import Batch
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.lens import LogitLens
from layercliff.readout.read import Reader, Reading, stacked
from layercliff.readout.trace import Trace
from layercliff.run.directory import Journal, key

SURE = 3  # steps below the collapse line, one after another, after which a path until the collapse ends


@dataclass(frozen=True)
class WalkedPath:
    """The steps of a path, the dense model first, with a trace of each, and of each on the watched tasks."""

    steps: tuple[Step, ...]
    traces: tuple[Trace, ...]
    watched: tuple[Trace, ...]


@dataclass
class PathWalker:
    """Walks a path of one model and measures each step on `measured`, and on `watched`, at all depths.

    `turn`: how many paths come before this one, and how many there are in all. Those after the first are repetitions.
    Of them the last depth alone is read. `seconds`: what measuring each step took. Raises `TaskError` for a task with
    nothing to measure.
    """

    model: Model
    measured: Sequence[EncodedTask]
    watched: Sequence[EncodedTask]
    batch_tokens: int
    journal: Journal | None
    subject: object
    report: Report
    note: Note
    turn: tuple[int, int] = (0, 1)
    seconds: list[float] = field(default_factory=list, init=False)
    _readings: dict[Batch, Reading] = field(default_factory=dict, init=False)  # of the step measured last

    def __post_init__(self) -> None:
        for part in self.measured:
            if not part.questions:
                raise TaskError(
                    f"Task {part.task.name} has too few questions to select on one half and report on the other: "
                    "ask at least 2 groups."
                )

    def walk(self, selector: BlockSelector, last: int, collapsed: bool) -> WalkedPath:
        """Remove blocks until `last` are gone, or the collapse is sure if `collapsed`, or nothing more can go.

        Raises `RunError` where the criterion removes nothing at all.
        """
        n_layers = self.model.n_layers
        steps = [Step(tuple(range(n_layers)))]
        traces, watched = [self._measure(self.measured, steps)], self._watch(steps)
        while (gone := n_layers - len(steps[-1].kept)) < last and not (collapsed and self._collapsed(traces)):
            self._tell(gone, last)
            step = selector.choose(steps[-1])
            if step is None:
                self._ended(gone, last)
                break
            steps.append(step)
            traces.append(self._measure(self.measured, steps))
            watched += self._watch(steps)
        self._tell(last, last)
        return WalkedPath(tuple(steps), tuple(traces), tuple(watched))

    def _tell(self, gone: int, last: int) -> None:
        """How far all of the paths are, as if each went on to `last`."""
        before, of = self.turn
        self.report("removing blocks", before * last + gone, of * last)

    def _ended(self, gone: int, last: int) -> None:
        """The criterion removes nothing more, short of `last` blocks."""
        if not gone:
            raise RunError(
                "The criterion can remove nothing: too few blocks, or blocks beside one another, are left unprotected. "
                "Protect fewer."
            )
        self.note(
            f"The path ends after {gone} of {last} blocks: what the criterion leaves alone, or is told to, cannot go."
        )

    def _watch(self, steps: Sequence[Step]) -> list[Trace]:
        return [self._measure(self.watched, steps)] if self.watched else []

    def _measure(self, parts: Sequence[EncodedTask], steps: Sequence[Step]) -> Trace:
        """Read the last of the steps. The one before it has been read."""
        begin = time.perf_counter()
        trace = Trace.joined([self._read(part, steps) for part in parts])
        self.seconds.append(time.perf_counter() - begin)
        return trace

    def _read(self, part: EncodedTask, steps: Sequence[Step]) -> Trace:
        """Depths up to the first block that the step before does not share are taken from its reading."""
        step, last = steps[-1], len(steps[-1].kept)
        repeated = self.turn[0] > 0
        known = depths_shared(steps[-2], step) if len(steps) > 1 and not repeated else 0
        lens = LogitLens(self.model.anatomy.unembedding)
        unread = range(last if repeated else known, last + 1)
        reader = Reader(self.model, lens, part.form, "none", self.note, depths=unread)
        readings = []
        made = make(self.model.network, step.blends)
        for batch in part.batches(self.batch_tokens):
            what = "report, last depth" if repeated else "report"
            name = key(what, self.subject, step.kept, ordered(step.blends), part.form, batch)
            if self.journal and (found := self.journal.get(name)):
                reading = Reading.of(found)
            else:
                read = []
                if known:
                    read.append(self._readings[batch].up_to(known))
                if unread:
                    with weights_replaced(made):
                        read.append(reader.read(batch, step.kept))
                reading = stacked(read)
                if self.journal:
                    self.journal.put(name, reading.arrays())
            if not repeated:
                self._readings[batch] = reading
            readings.append((batch, reading))
        return part.trace(readings)

    @staticmethod
    def _collapsed(traces: Sequence[Trace]) -> bool:
        """Whether the last few steps all lie below half of the dense model's above-chance accuracy."""
        if len(traces) <= SURE:
            return False
        step = collapse.collapse_steps(accuracies(traces), chance_of(traces[0]))
        return bool(step <= len(traces) - SURE)


def depths_shared(first: Step, second: Step) -> int:
    """How many depths, from the embeddings on, hold the same states in both models."""
    return 1 + shared_blocks(first.kept, second.kept, {*first.blends, *second.blends})


def accuracies(traces: Sequence[Trace]) -> np.ndarray:
    """The last depth's accuracy of each trace."""
    return np.array([decision.correctness(t.scores[-1:], t.mask, t.gold).mean() for t in traces])


def last_step(n_layers: int, remove: int | None, to_ratio: float | None, protect: Sequence[int]) -> int:
    """How many blocks a path may remove at most. Raises `RunError` for what the model does not have."""
    unknown = [block for block in protect if not 0 <= block < n_layers]
    if unknown:
        raise RunError(f"Block {unknown[0]} cannot be protected: the model has blocks 0-{n_layers - 1}.")
    most = n_layers - max(1, len(set(protect)))
    if most < 1:
        raise RunError(f"All of the model's {n_layers} blocks are protected: protect fewer.")
    if remove is not None and to_ratio is not None:
        raise RunError("A path ends after --remove blocks or at --to-ratio, not both: give one of them.")
    wanted = remove if remove is not None else round(to_ratio * n_layers) if to_ratio is not None else most
    if not 1 <= wanted <= most:
        raise RunError(f"{wanted} blocks cannot be removed: the model has {n_layers}, of which 1 to {most} can go.")
    return wanted
