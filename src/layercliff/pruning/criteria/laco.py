"""LaCo: runs of blocks collapse into their first one (Yang et al. 2024, arXiv 2402.11187)."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from layercliff.models.blockwise_pass import BlockwisePass, ResidualStream
from layercliff.models.merged_blocks import Blends, Linear, linear, mixed
from layercliff.models.merged_weights import make, weights_replaced
from layercliff.pruning import calibration
from layercliff.pruning.criterion import criterion
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.step import Step
from layercliff.readout import batches, logit_agreement

PROMPTS = 10  # a few, as in the paper
THRESHOLD = 0.65
INTERVAL = 2  # blocks that the scan goes down after a merge
SHARE = 1 / 8  # of all blocks become one: 4 of 32
FEWEST = 3  # blocks become one: of two, the equation leaves the second one as it is


@criterion(
    "laco",
    kind="merging",
    about="a run of blocks, from the last ones down, as long as the last states stay alike",
    citation="LaCo: Yang et al. 2024, arXiv 2402.11187",
)
class LaCo:
    """Scans from the last blocks down for a run of C blocks that can become one.

    It can where the last depth stays like the dense model's on a few prompts: their mean cosine is above a threshold.
    States are normed, and all tokens of a prompt are one vector. The merged block has the weights

        theta*_l = theta_l + sum over k = 1..C-1 of (theta_{l+k} - theta_l)

    Ours: the scan begins again from the last blocks after its end. Where no merge passes the threshold any more, it is
    lowered to the best cosine. A merge is decided whole and made one difference at a time: each step removes one block.
    """

    def __init__(self, given: CriterionInput) -> None:
        self.given = given
        self.passes, self.seconds = 0, 0.0
        self.threshold = THRESHOLD
        self._run = max(FEWEST, round(SHARE * given.model.n_layers))
        self._from: int | None = None  # where the scan goes on; None: at the last blocks
        self._making: list[Step] = []

    def choose(self, before: Step) -> Step | None:
        """The next difference of the merge that is being made, or the first one of the next merge."""
        if not self._making:
            begin = time.perf_counter()
            self._making = self._decide(before)
            self.seconds += time.perf_counter() - begin
        return self._making.pop(0) if self._making else None

    def _decide(self, before: Step) -> list[Step]:
        """The steps of the next merge. None where nothing more can be merged."""
        run = min(self._run, len(before.kept))
        if run < 2:
            return []
        top = len(before.kept) - run
        begin = top if self._from is None else min(self._from, top)
        states = self._states(before)
        scores: dict[int, float] = {}
        found: Sequence[int] = ()
        for first in (*range(begin, -1, -1), *range(top, begin, -1)):
            window = before.kept[first : first + run]
            if set(window) & set(self.given.protected):
                continue
            scores[window[1]] = self._similarity(before, first, window, states)
            if scores[window[1]] > self.threshold:
                found = window
                break
        if not scores:
            return []
        if not found:
            self.threshold, gone = max((score, block) for block, score in scores.items())
            first = before.kept.index(gone) - 1
            found = before.kept[first : first + run]
        self._from = max(before.kept.index(found[0]) - INTERVAL, -1)
        return _made(before, found, scores)

    @torch.inference_mode()
    def _states(self, before: Step) -> list[list[ResidualStream]]:
        """Per batch of prompts, the states before each kept block."""
        prompts = self._prompts  # of the dense model
        with weights_replaced(make(self.given.model.network, before.blends)), self.given.model.anatomy.computing():
            return [[p.passage.embedded, *self._run_through(p, before.kept, p.passage.embedded)] for p in prompts]

    @torch.inference_mode()
    def _similarity(
        self, before: Step, first: int, window: Sequence[int], states: Sequence[Sequence[ResidualStream]]
    ) -> float:
        """The mean cosine with the dense model of the model in which `window` has become one block."""
        network = self.given.model.network
        made = make(network, {**before.blends, window[0]: collapsed(before.blends, window)})
        rest = (window[0], *before.kept[first + len(window) :])
        found: list[float] = []
        with weights_replaced(made), self.given.model.anatomy.computing():
            for prompts, streams in zip(self._prompts, states, strict=True):
                *_, last = self._run_through(prompts, rest, streams[first])
                found += map(cosine, self._normed(prompts, last), prompts.dense)
        return float(np.mean(found))

    def _run_through(self, prompts: "_Prompts", blocks: Sequence[int], stream: ResidualStream) -> list[ResidualStream]:
        found = []
        for run in prompts.passage.through(blocks):
            stream = run(stream)
            self.passes += 1
            found.append(stream)
        return found

    def _normed(self, prompts: "_Prompts", stream: ResidualStream) -> list[Float[Tensor, "token d"]]:
        """The normed states of each prompt's tokens."""
        rows = zip(stream.levels[-1], prompts.lengths, strict=True)
        return [self.given.model.anatomy.unembedding.normed(states[:length]) for states, length in rows]

    @cached_property
    def _prompts(self) -> list["_Prompts"]:
        """The first few prompts of each task with the dense model's last states."""
        share = -(-PROMPTS // len(self.given.asked))
        rows = [row for part in calibration.rows_of(self.given) for row in part[:share]]
        anatomy, found = self.given.model.anatomy, []
        sharing = logit_agreement.least([part.sharing for part in self.given.asked])
        for batch in batches.plan(rows, self.given.batch_tokens, sharing, apart="rows"):
            passage = anatomy.enter(batch.levels(self.given.model.device))
            prompts = _Prompts(passage, tuple(len(row.tokens) for row in batch.rows))
            with anatomy.computing():
                *_, last = self._run_through(prompts, range(self.given.model.n_layers), passage.embedded)
            found.append(replace(prompts, dense=self._normed(prompts, last)))
        return found


@dataclass(frozen=True)
class _Prompts:
    """A batch of prompts, how many tokens each has, and the dense model's last states of each, normed."""

    passage: BlockwisePass
    lengths: tuple[int, ...]
    dense: Sequence[Tensor] = ()


def cosine(here: Float[Tensor, "token d"], there: Float[Tensor, "token d"]) -> float:
    """Of all tokens' states as one vector."""
    return float(torch.cosine_similarity(here.flatten().double(), there.flatten().double(), dim=0))


def collapsed(blends: Blends, window: Sequence[int]) -> Linear:
    """The kept blocks `window` as one: theta_l + sum of (theta_{l+k} - theta_l), in terms of dense blocks.

    >>> collapsed({}, (4, 5, 6)).weights
    {4: -1.0, 5: 1.0, 6: 1.0}
    """
    first, *others = window
    parts = [(1.0, linear(blends, block).weights) for block in others]
    return Linear(mixed([(1.0 - len(others), linear(blends, first).weights), *parts]))


def _made(before: Step, window: Sequence[int], scores: Mapping[int, float]) -> list[Step]:
    """A merge, one difference more at each step."""
    steps = []
    for k in range(1, len(window)):
        kept = tuple(block for block in before.kept if block not in window[1 : k + 1])
        blends = {block: blend for block, blend in before.blends.items() if block in kept}
        blends[window[0]] = collapsed(before.blends, window[: k + 1])
        steps.append(Step(kept, (window[k],), scores if k == 1 else {}, blends=blends))
    return steps
