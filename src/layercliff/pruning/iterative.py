"""Iterative pruning: score the removal of every block on one half of the questions, remove the best, repeat."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from layercliff.choices import Score
from layercliff.models.anatomy import text_config
from layercliff.models.model import Model
from layercliff.models.passage import Leads
from layercliff.progress import Report
from layercliff.pruning import criteria
from layercliff.pruning.sweep import Sweep
from layercliff.readout.asked import Asked
from layercliff.readout.batches import Batch
from layercliff.readout.lens import LogitLens
from layercliff.readout.read import Reader, Reading
from layercliff.store import Journal, key

STREAM_BYTES = 2**30  # at most so much for the streams of the batch that is swept
LEAD_BYTES = 2**29  # at most so much for what all batches of a task begin with, remembered during a step


@dataclass(frozen=True)
class Choice:
    """A step's choice: the block to remove, and every candidate's score, by dense index."""

    removed: int
    scores: dict[int, float]


class Selection:
    """The questions a path is selected on, swept step by step.

    `reuse_bytes` bounds the states kept from one step for the next; `journal` keeps every batch's candidates under a key of what
    determines them. Neither changes a number.
    """

    def __init__(
        self, model: Model, asked: Sequence[Asked], score: Score, protected: Sequence[int], *, batch_tokens: int, reuse_bytes: int,
        journal: Journal | None, subject: object, report: Report,
    ) -> None:  # fmt: skip
        self.model, self.asked, self.score, self.protected = model, tuple(asked), score, tuple(protected)
        self.journal, self.subject, self.report = journal, subject, report
        self.passes = 0
        width = text_config(model.network.config).hidden_size
        budget = max(1, min(batch_tokens, STREAM_BYTES // (4 * width * model.n_layers)))
        self.batches = [part.batches(budget, model.anatomy.shares) for part in self.asked]
        self._reuse_bytes = reuse_bytes
        self._tokens = sum(batch.padded_tokens for batches in self.batches for batch in batches)
        self._sweeps: dict[Batch, Sweep] = {}
        self._leads = {part.task.name: Leads(LEAD_BYTES // len(self.asked)) for part in self.asked}

    def choose(self, kept: Sequence[int]) -> Choice:
        """Score every candidate of the model that keeps `kept` and choose one to remove."""
        for leads in self._leads.values():
            leads.clear()
        blocks = [block for block in kept if block not in self.protected]
        values, done = [], 0
        for part, batches in zip(self.asked, self.batches, strict=True):
            readings = []
            for batch in batches:
                readings.append((batch, self._candidates(part, batch, tuple(kept))))
                done += batch.padded_tokens
                self.report(f"scoring {len(blocks)} removals", done, self._tokens)
            scores, _ = part.scores(readings)
            values.append(criteria.SCORES[self.score](scores, part.mask, part.gold))
        combined: Float[np.ndarray, " candidate"] = criteria.combine(values)
        return Choice(criteria.best(blocks, combined), dict(zip(blocks, combined.tolist(), strict=True)))

    def remove(self, block: int) -> None:
        """Take a block out for good."""
        for sweep in self._sweeps.values():
            sweep.remove(block)

    def _candidates(self, part: Asked, batch: Batch, kept: tuple[int, ...]) -> Reading:
        """The last depth's reading of a batch, one row per candidate."""
        name = key("candidates", self.subject, kept, self.protected, part.form, batch)
        if self.journal and (found := self.journal.get(name)):
            self._sweeps.pop(batch, None)
            return Reading(found["scores"], found["mass"])
        reading = self._swept(part, batch, kept)
        if self.journal:
            self.journal.put(name, {"scores": reading.scores, "mass": reading.mass})
        return reading

    @torch.inference_mode()
    def _swept(self, part: Asked, batch: Batch, kept: tuple[int, ...]) -> Reading:
        model = self.model
        reader = Reader(model, LogitLens(model.anatomy.unembedding), part.form, "none")
        if batch not in self._sweeps:
            share = int(self._reuse_bytes * batch.padded_tokens / self._tokens)
            self._sweeps[batch] = Sweep(
                model.anatomy.enter(batch.levels(model.device), self._leads[part.task.name]), kept, share
            )
        sweep = self._sweeps[batch]
        before = sweep.passes
        with model.anatomy.computing():
            states = sweep.candidates(self.protected)
            self.passes += sweep.passes - before
            return reader.read_states(batch, ((model.n_layers, state) for state in states.values()))
