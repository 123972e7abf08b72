"""Blocks and adjacent pairs skipped, or replaced by what they add on average."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from layercliff.interventions.ablated_blocks import AblatedBlocks
from layercliff.interventions.forks import Change, Fork, unchanged
from layercliff.models.blockwise_pass import ResidualStream
from layercliff.models.model import Model
from layercliff.readout import batches
from layercliff.readout.batches import Batch
from layercliff.readout.encoded_task import EncodedTask

Updates = Float[Tensor, "block 2 d"]
"""What each block adds to the residual stream on average: at the first position, and at the others."""


def forks(n_layers: int, ablations: Sequence[AblatedBlocks], means: Updates | None = None) -> list[Fork]:
    """A run per ablation, which shares with the dense stream what lies before its first block.

    `means` are needed where blocks are replaced by theirs.
    """
    return [Fork(one.first, tuple(range(one.first + one.size, n_layers)), _change(one, means)) for one in ablations]


def _change(one: AblatedBlocks, means: Updates | None) -> Change:
    if one.how == "skip":
        return unchanged
    assert means is not None
    return partial(_shifted, by=means[list(one.blocks)].sum(0))


def _shifted(stream: ResidualStream, batch: Batch, by: Float[Tensor, "2 d"]) -> ResidualStream:
    first, others = by
    levels = []
    for number, level in enumerate(stream.levels):
        wide = level.float() + others
        if number == 0:
            wide[torch.tensor(batch.begins, device=wide.device).unbind(1)] += first - others
        levels.append(wide.to(level.dtype))
    return replace(stream, levels=tuple(levels))


@torch.inference_mode()
def mean_updates(model: Model, parts: Sequence[EncodedTask], batch_tokens: int) -> Updates:
    """The mean of ``h_{b+1} - h_b`` over all tokens of the questions' prompts (*cloze*: with the right answer).

    Each token counts once per question. The first position has a mean of its own. Many models keep it apart as an
    attention sink, with activations hundreds of times larger (Xiao et al. 2024, Sun et al. 2024). They would be all
    there is in a common mean.
    """
    sums = torch.zeros(model.n_layers, 2, 0, dtype=torch.float64)
    counts = torch.zeros(2, 1, dtype=torch.float64)
    for part in parts:
        rows = [row for row in part.rows if row.option in (None, part.questions[row.question].gold)]
        for batch in batches.plan(rows, batch_tokens, part.sharing, apart="rows"):
            lengths = torch.tensor([len(row.tokens) for row in batch.rows])
            found = _summed_updates(model, batch, lengths)
            sums = found if not sums.shape[-1] else sums + found
            counts += torch.tensor([[len(lengths)], [int(lengths.sum()) - len(lengths)]])
    return (sums / counts.clamp_min(1)).float().to(model.device)


def _summed_updates(model: Model, batch: Batch, lengths: Tensor) -> Float[Tensor, "block 2 d"]:
    """The sums over the tokens of a batch whose rows have these `lengths`."""
    read = (torch.arange(int(lengths.max())) < lengths[:, None]).to(model.device)
    passage = model.anatomy.enter(batch.levels(model.device))
    sums, before = [], None
    with model.anatomy.computing():
        for _, state in passage.depths():
            now = state.float()
            if before is not None:
                update = (now - before).double() * read[..., None]
                sums.append(torch.stack([update[:, 0].sum(0), update[:, 1:].sum((0, 1))]).cpu())
            before = now
    return torch.stack(sums)
