"""Activation patching: states exchanged between a dense and a pruned model after matching blocks."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from layercliff.choices import Positions
from layercliff.models.blockwise_pass import BlockwisePass, ResidualStream
from layercliff.readout.batches import Batch, read_from


def states(
    passage: BlockwisePass, batch: Batch, n_layers: int, kept: Sequence[int], positions: Positions
) -> Iterator[tuple[int, Float[Tensor, "row position d"]]]:
    """Run both models side by side, and yield states with the depths that they are read at (see `order`).

    There are three after no block, and after each block of `kept`:

    * the pruned model's state;
    * the last state of the pruned model that goes on from the dense one's state there;
    * the last state of the dense model that goes on from the pruned one's state there.

    Dense states come in between, at every depth. With `positions` of ``decision`` only those that are read are
    exchanged. Batches must then share nothing.
    """
    dense = pruned = passage.embedded
    for depth, block in enumerate((-1, *kept)):
        if block >= 0:
            for run in passage.through(range(len(dense.passed), block + 1)):
                dense = run(dense)
                yield len(dense.passed), dense.levels[-1]
            pruned = passage.block(block, pruned)
        else:
            yield 0, dense.levels[-1]
        yield depth, pruned.levels[-1]
        yield len(kept), passage.past(kept[depth:], _patched(pruned, dense, batch, positions)).levels[-1]
        rest = range(block + 1, n_layers)
        yield n_layers, passage.past(rest, _patched(dense, pruned, batch, positions)).levels[-1]
    for run in passage.through(range(len(dense.passed), n_layers)):
        dense = run(dense)
        yield len(dense.passed), dense.levels[-1]


def order(n_layers: int, kept: Sequence[int]) -> tuple[Int[np.ndarray, " depth"], Int[np.ndarray, "3 match"]]:
    """Where the dense depths come among `states`, and where the three states of each matching depth do."""
    dense, matches = [], []
    place = 0
    matching = {block + 1 for block in (-1, *kept)}
    for depth in range(n_layers + 1):
        dense.append(place)
        place += 1
        if depth in matching:
            matches.append([place, place + 1, place + 2])
            place += 3
    return np.array(dense), np.array(matches).T


def passes(n_layers: int, kept: Sequence[int]) -> int:
    """Block passes of a batch."""
    onwards = sum(len(kept) - depth + n_layers - block - 1 for depth, block in enumerate((-1, *kept)))
    return n_layers + len(kept) + onwards


def _patched(into: ResidualStream, source: ResidualStream, batch: Batch, positions: Positions) -> ResidualStream:
    """`into`, with states of `source` at `positions`."""
    if positions == "all":
        return replace(into, levels=source.levels)
    (own,), (other,) = into.levels, source.levels
    read = torch.zeros(own.shape[:2], dtype=torch.bool)
    for row, (sequence, _) in zip(batch.rows, batch.places, strict=True):
        read[sequence, read_from(row) : len(row.tokens)] = True
    return replace(into, levels=(torch.where(read.to(own.device)[..., None], other, own),))
