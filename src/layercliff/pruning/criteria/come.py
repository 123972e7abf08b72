"""CoMe: neighbours become one block, head by head and channel by channel (Wang et al. 2025, arXiv 2510.15304)."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from layercliff.models.merged_blocks import Channelwise, SlotOrigin, mixed
from layercliff.models.merged_weights import check_alike, identity, make, prove, weights_replaced
from layercliff.models.weight_layout import KINDS, SlotKind, groups, sensitivity, writer
from layercliff.pruning import calibration
from layercliff.pruning.criterion import criterion
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.step import Step


@criterion(
    "come",
    kind="merging",
    about="the neighbours that turn the state least, head by head and channel by channel",
    citation="CoMe: Wang et al. 2025, arXiv 2510.15304",
    cost="pass per step",
)
class CoMe:
    """Merges the neighbours across which the deciding token's state turns least, in the model that a step has left.

    The merged block takes heads and channels of both, in the proportion of their Block Influence. It takes those with
    the greatest sensitivity

        s_c = mean over tokens of |x_c| * sum over i of |W_ic|

    where x_c is what channel c adds to the residual stream through the output weights W. Heads go in groups that share
    keys and values. A group's sensitivity is the mean of its channels'. The blocks' norms are averaged. What else
    belongs to no channel is mixed in the same proportion.

    This merges two blocks at a time, without the distillation that follows in the paper. Ours: the prompts of the
    ``select`` half, states before the final norm, and queries that are always the group's own. The published code
    takes a group's queries from where they lie only if every head has its own keys.
    """

    def __init__(self, given: CriterionInput) -> None:
        self.given = given
        self.passes, self.seconds = 0, 0.0
        self._proven = False

    def choose(self, before: Step) -> Step | None:
        """The step in which two neighbours have become one. Of equal ones the first do."""
        begin = time.perf_counter()
        kept = before.kept
        pairs = self.given.neighbours(kept)
        if not pairs:
            return None
        if not self._proven:
            prove(self.given.model)
            self._proven = True
        seen = self._look(before)
        scores = {second: -float(seen.turns[kept.index(first)]) for first, second in pairs}
        first, gone = max(pairs, key=lambda pair: (scores[pair[1]], -pair[1]))
        check_alike(self.given.model.anatomy.blocks, (first, gone))
        blends = {block: blend for block, blend in before.blends.items() if block != gone}
        blends[first] = self._joined(before, first, gone, seen)
        self.seconds += time.perf_counter() - begin
        return Step(tuple(b for b in kept if b != gone), (gone,), scores, blends=blends)

    def _joined(self, before: Step, first: int, gone: int, seen: "_Measured") -> Channelwise:
        """Two kept blocks as one."""
        both = (first, gone)
        influence = [float(seen.influence[before.kept.index(block)]) for block in both]
        total = sum(influence)
        shares = [value / total if total > 0 else 0.5 for value in influence]
        blends = [self._blend(before, block) for block in both]
        picked: dict[SlotKind, tuple[SlotOrigin, ...]] = {}
        for kind in KINDS:
            slots = [getattr(blend, kind) for blend in blends]
            takes = apportioned(len(slots[0]), shares)
            picked[kind] = tuple(
                of[slot]
                for of, block, n in zip(slots, both, takes, strict=True)
                for slot in sorted(
                    np.argsort(seen.sensitivity[kind][before.kept.index(block)], kind="stable")[::-1][:n].tolist()
                )
            )
        inside = mixed((share, blend.inside) for share, blend in zip(shares, blends, strict=True))
        return Channelwise(picked["heads"], picked["channels"], inside, mixed((0.5, blend.outside) for blend in blends))

    def _blend(self, before: Step, block: int) -> Channelwise:
        found = before.blends.get(block) or identity(self.given.model.network, block)
        assert isinstance(found, Channelwise)
        return found

    @torch.inference_mode()
    def _look(self, before: Step) -> "_Measured":
        """What the prompts show of the model that a step has left."""
        model, kept = self.given.model, before.kept
        blocks = [model.anatomy.blocks[index] for index in kept]
        turns, influence = np.zeros(len(kept) - 1), np.zeros(len(kept))
        sums: dict[SlotKind, list[Any]] = {kind: [0.0] * len(kept) for kind in KINDS}
        n_tokens = n_rows = 0
        with weights_replaced(make(model.network, before.blends)):
            for batch in calibration.batches_of(self.given):
                mask, deciding = calibration.tokens(batch), calibration.deciding(batch)
                with _watching(blocks, mask.to(model.device), sums):
                    states = list(calibration.depths(self.given, batch, kept))
                for place in range(len(kept)):
                    influence[place] += _turned(states[place][mask], states[place + 1][mask])
                for place in range(len(kept) - 1):
                    turns[place] += _angle(states[place][deciding], states[place + 2][deciding])
                n_tokens, n_rows = n_tokens + int(mask.sum()), n_rows + len(batch.rows)
                self.passes += len(kept)
            weights = {kind: [sensitivity(writer(block, kind)).cpu() for block in blocks] for kind in KINDS}
        channel = {
            kind: [x.cpu() / n_tokens * w for x, w in zip(sums[kind], weights[kind], strict=True)] for kind in KINDS
        }
        found: dict[SlotKind, list[np.ndarray]] = {
            "heads": [s.view(groups(model.network), -1).mean(1).numpy() for s in channel["heads"]],
            "channels": [s.numpy() for s in channel["channels"]],
        }
        return _Measured(turns / n_rows, influence / n_tokens, found)


@dataclass(frozen=True)
class _Measured:
    """What the prompts show, by a kept block's place among the kept ones.

    `turns`: how far it and the next block turn the deciding token. `influence`: its Block Influence. `sensitivity`: of
    its heads and channels.
    """

    turns: Float[np.ndarray, " pair"]
    influence: Float[np.ndarray, " block"]
    sensitivity: dict[SlotKind, list[np.ndarray]]


def apportioned(slots: int, shares: Sequence[float]) -> list[int]:
    """So many slots of each block: the smaller shares rounded down, the rest of the largest.

    >>> apportioned(9, [0.4, 0.6])
    [3, 6]
    """
    largest = int(np.argmax(shares))
    found = [0 if place == largest else int(slots * share) for place, share in enumerate(shares)]
    found[largest] = slots - sum(found)
    return found


@contextmanager
def _watching(
    blocks: Sequence[torch.nn.Module], mask: Bool[Tensor, "row position"], sums: dict[SlotKind, list[Any]]
) -> Iterator[None]:
    """While this lasts, the sizes of what blocks' heads and channels add to the stream are summed up over tokens."""

    def watch(_module: torch.nn.Module, inputs: tuple[Any, ...], into: list[Any], place: int) -> None:
        into[place] = into[place] + inputs[0].reshape(mask.numel(), -1)[mask.flatten()].float().abs().sum(0)

    with ExitStack() as hooks:
        for kind in KINDS:
            for place, block in enumerate(blocks):
                hook = partial(watch, into=sums[kind], place=place)
                hooks.callback(writer(block, kind).register_forward_pre_hook(hook).remove)
        yield


def _turned(before: Float[Tensor, "token d"], after: Float[Tensor, "token d"]) -> float:
    """The sum of 1 - cos, none below 0."""
    return float((1 - torch.cosine_similarity(before, after, dim=-1)).clamp_min(0).double().sum())


def _angle(before: Float[Tensor, "row d"], after: Float[Tensor, "row d"]) -> float:
    """The sum of arccos(cos) / pi."""
    cosine = torch.cosine_similarity(before.double(), after.double(), dim=-1).clamp(-1, 1)
    return float((cosine.arccos() / torch.pi).sum())
