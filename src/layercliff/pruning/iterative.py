"""Iterative pruning: score the removal of every block on one half of the questions, remove the best, repeat."""

import time
from collections.abc import Sequence
from functools import reduce

import numpy as np
import torch

from layercliff.errors import ModelError, RunError
from layercliff.models.anatomy import text_config
from layercliff.models.blockwise_pass import PrefixCache
from layercliff.pruning import candidates, race
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.objective import Objective
from layercliff.pruning.step import Step
from layercliff.pruning.sweep import Sweep
from layercliff.readout import batches, read
from layercliff.readout.batches import Batch
from layercliff.readout.halving import BatchHalving
from layercliff.readout.lens import LogitLens
from layercliff.readout.read import Reader, Reading
from layercliff.run.directory import key

STREAMS = 1 / 4
"""Of the memory for states, what the streams of a batch may take. The rest is for reuse between steps."""
LEADS = 1 / 8
"""The same of the states of what all batches begin with."""
NOT_KEPT = -1
"""The room of a batch whose sweep begins anew at every step: what it is called with leaves none."""


def tokens_at_once(batch_tokens: int, memory_bytes: int, width: int, n_layers: int) -> int:
    """So many tokens pass together that the float32 streams of all candidates stay within their part of the memory."""
    return max(1, min(batch_tokens, int(memory_bytes * STREAMS) // (4 * width * n_layers)))


class IterativeSelector:
    """Removes the block without which the objectives are highest, anew at every step (Shi et al. 2026).

    On text this is SLEB (Song et al. 2024). The memory for states, the journal and how questions are batched change no
    choice. Scores move in the seventh digit with a batch's shape. `values` are those of the first objective, unit by
    unit, without each block of the last choice. Raises `RunError` where several objectives are raced.
    """

    def __init__(self, given: CriterionInput, objectives: Sequence[Objective]) -> None:
        if given.race is not None and (why := race.refusal(len(objectives))):
            raise RunError(why)
        self.given, self.model, self.objectives = given, given.model, tuple(objectives)
        self.passes, self.seconds = 0, 0.0
        self.values: dict[int, np.ndarray] = {}
        width = text_config(self.model.network.config).hidden_size
        budget = tokens_at_once(given.batch_tokens, given.memory_bytes, width, self.model.n_layers)
        raced = given.race is not None
        looks: Sequence[np.ndarray | None] = race.looks(len(self.objectives[0]), given.seed) if raced else [None]
        self._looks = [
            [(part, batches.plan(part.rows, budget, part.sharing)) for part in self._asked(look)] for look in looks
        ]
        every = [batch for look in self._looks for _, planned in look for batch in planned]
        self.tokens = sum(batch.padded_tokens for batch in every)
        self._reuse = int(given.memory_bytes * (1 - STREAMS - LEADS))
        of_each = int(given.memory_bytes * LEADS) // len(self.objectives)
        self._leads = {objective.name: PrefixCache(of_each) for objective in self.objectives}
        self._sweeps: dict[Batch, Sweep] = {}
        self._counts: dict[Batch, Sweep] = {}  # the same without interruptions; only their passes are counted
        self._halving = BatchHalving(self._free, self._too_large)

    def choose(self, before: Step) -> Step | None:
        """Score every candidate's removal and take the best."""
        kept = before.kept
        blocks = [block for block in kept if block not in self.given.protected]
        if not blocks or len(kept) == 1:
            return None
        self._follow(kept)
        running, values = self._scored(kept, blocks)
        self.values = values[0]
        seen: dict[int, int] = {}
        if len(self._looks) > 1:
            seen = {block: len(values[0][block]) for block in blocks}
            scores = {block: float(values[0][block].mean()) for block in blocks}
        else:
            combined = candidates.combine([np.stack([found[block] for block in blocks]) for found in values])
            scores = dict(zip(blocks, combined.tolist(), strict=True))
        gone = candidates.best(running, np.array([scores[block] for block in running]))
        return Step(tuple(block for block in kept if block != gone), (gone,), scores, seen)

    def _follow(self, kept: Sequence[int]) -> None:
        """Take out of the sweeps what was removed since the last choice."""
        for sweep in (*self._sweeps.values(), *self._counts.values()):
            for block in set(sweep.kept) - set(kept):
                sweep.remove(block)
        for leads in self._leads.values():
            leads.clear()

    def _scored(self, kept: tuple[int, ...], blocks: list[int]) -> tuple[list[int], list[dict[int, np.ndarray]]]:
        """The candidates left at the end of a race (all without one), and per objective each candidate's values."""
        running, done = blocks, 0
        values: list[dict[int, np.ndarray]] = [{block: np.empty(0) for block in blocks} for _ in self.objectives]
        for look in self._looks:
            for so_far, (part, planned) in zip(values, look, strict=True):
                readings = []
                for batch in planned:
                    readings.append((batch, self._candidates(part, batch, kept, tuple(running))))
                    done += batch.padded_tokens
                    self.given.report(f"scoring {len(blocks)} removals", done, self.tokens)
                for block, found in zip(running, part.values(readings), strict=True):
                    so_far[block] = np.concatenate([so_far[block], found])
            if look is not self._looks[-1]:
                running = self._still(running, len(blocks), values[0])
                if len(running) == 1:
                    break
        self.given.report(f"scoring {len(blocks)} removals", self.tokens, self.tokens)
        return running, values

    def _asked(self, look: np.ndarray | None) -> list[Objective]:
        """What a look adds; all there is without a race."""
        return [objective if look is None else objective.subset(look.tolist()) for objective in self.objectives]

    def _still(self, running: Sequence[int], n_candidates: int, values: dict[int, np.ndarray]) -> list[int]:
        """The candidates that a race leaves running after a look."""
        assert self.given.race is not None
        alpha = race.level(self.given.race, n_candidates, len(self._looks), self.given.steps)
        stays = race.survivors(np.stack([values[block] for block in running]), len(self.objectives[0]), alpha)
        return [block for block, stay in zip(running, stays, strict=True) if stay]

    def _candidates(self, part: Objective, batch: Batch, kept: tuple[int, ...], blocks: tuple[int, ...]) -> Reading:
        """The last depth's reading of a batch, one row per candidate."""
        journal = self.given.journal
        name = key("candidates", self.given.subject, kept, blocks, part.form, batch)
        if journal and (found := journal.get(name)):
            self._sweeps.pop(batch, None)
            reading, passes, seconds = Reading.of(found), int(found["passes"]), float(found["seconds"])
            if "room" in found:
                self._counted(batch, kept, blocks, int(found["room"]))
        else:
            begin, before = time.perf_counter(), self.passes
            reading = self._swept(part, batch, kept, blocks)
            passes, seconds = self.passes - before, time.perf_counter() - begin
            self.passes, cost = before, {}
            if self._halving.budget is None:
                room = self._sweeps[batch].room if batch in self._sweeps else NOT_KEPT
                passes, cost = self._counted(batch, kept, blocks, room), {"room": np.array(room)}
            if journal:
                cost |= {"passes": np.array(passes), "seconds": np.array(seconds)}
                journal.put(name, {**reading.arrays(), **cost})
        self.passes += passes
        self.seconds += seconds
        return reading

    def _counted(self, batch: Batch, kept: tuple[int, ...], blocks: tuple[int, ...], room: int) -> int:
        """Block passes of a batch in an uninterrupted run. What a resumed run repeats is not counted again."""
        sweep = self._counts.get(batch) or Sweep.counting(kept, room)
        if room != NOT_KEPT:
            self._counts[batch] = sweep
        before = sweep.passes
        sweep.candidates(blocks)
        return sweep.passes - before

    def _swept(self, part: Objective, batch: Batch, kept: tuple[int, ...], blocks: tuple[int, ...]) -> Reading:
        """Sweep a batch; out of memory, sweep its halves."""
        return reduce(read.joined, self._halving.run(batch, lambda some: self._swept_whole(part, some, kept, blocks)))

    def _free(self, tokens: int) -> None:
        """Let go of what is kept for the next step, now and from now on."""
        self._sweeps.clear()
        self._reuse = 0
        self.given.note(
            f"Out of memory with {tokens} tokens at once: going on with half of that and without reuse. Lower "
            "--memory-gb next time."
        )

    def _too_large(self, tokens: int) -> ModelError:
        return ModelError(
            f"The candidates of a single row of {tokens} tokens do not fit in memory on {self.model.device}: lower "
            "--memory-gb, or store the weights with --weights-dtype bfloat16."
        )

    @torch.inference_mode()
    def _swept_whole(self, part: Objective, batch: Batch, kept: tuple[int, ...], blocks: tuple[int, ...]) -> Reading:
        model = self.model
        reader = Reader(model, LogitLens(model.anatomy.unembedding), part.form, "none")
        sweep = self._sweeps.get(batch)
        if sweep is None:
            share = int(self._reuse * batch.padded_tokens / self.tokens)
            passage = model.anatomy.enter(batch.levels(model.device), self._leads[part.name])
            sweep = Sweep(passage, kept, share)
            if passage.size <= share:
                self._sweeps[batch] = sweep
        before = sweep.passes
        with model.anatomy.computing():
            states = sweep.candidates(blocks)
            self.passes += sweep.passes - before
            return reader.read_states(batch, ((model.n_layers, states[block]) for block in blocks))
