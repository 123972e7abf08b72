"""Blocks and adjacent pairs taken out: skipped, or replaced by what they add on average."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from layercliff.interventions.forks import Fork, unchanged
from layercliff.interventions.removals import removals
from layercliff.models.blockwise_pass import ResidualStream
from layercliff.models.model import Model
from layercliff.readout import batches
from layercliff.readout.batches import Batch
from layercliff.readout.encoded_task import EncodedTask

Updates = Float[Tensor, "block 2 d"]
"""What each block adds to the stream on average: at the first position, and at the others."""


def forks(n_layers: int, means: Updates) -> list[Fork]:
    """A run per removal; each shares with the dense stream what lies before its first block."""
    return [
        Fork(
            removal.first,
            tuple(range(removal.first + removal.size, n_layers)),
            unchanged if removal.how == "skip" else partial(_shifted, by=means[list(removal.blocks)].sum(0)),
        )
        for removal in removals(n_layers)
    ]


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
    """The mean of ``h_{b+1} - h_b`` over all tokens of the questions' prompts (*cloze*: with the right answer), each counted once per question.

    The first position has a mean of its own: many models keep it apart as an attention sink, with activations hundreds of times larger (Xiao et
    al. 2024, Sun et al. 2024), which would be all there is in a common mean.
    """
    sums = torch.zeros(model.n_layers, 2, 0, dtype=torch.float64)
    counts = torch.zeros(2, 1, dtype=torch.float64)
    for part in parts:
        rows = [row for row in part.rows if row.option in (None, part.questions[row.question].gold)]
        for batch in batches.plan(rows, batch_tokens, part.sharing, apart="rows"):
            lengths = torch.tensor([len(row.tokens) for row in batch.rows])
            read = (torch.arange(int(lengths.max())) < lengths[:, None]).to(model.device)
            passage = model.anatomy.enter(batch.levels(model.device))
            with model.anatomy.computing():
                before = None
                for depth, state in passage.depths():
                    now = state.float()
                    if before is not None:
                        update = (now - before).double() * read[..., None]
                        if not sums.shape[-1]:
                            sums = torch.zeros(model.n_layers, 2, now.shape[-1], dtype=torch.float64)
                        sums[depth - 1] += torch.stack([update[:, 0].sum(0), update[:, 1:].sum((0, 1))]).cpu()
                    before = now
            counts += torch.tensor([[len(lengths)], [int(lengths.sum()) - len(lengths)]])
    return (sums / counts.clamp_min(1)).float().to(model.device)
