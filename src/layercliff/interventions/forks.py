"""Many interventions on a batch in one pass.

Each run leaves the undisturbed residual stream at some depth, changed, and goes on alone from there. What lies before
is computed once for all of them, as it is for the candidates of a pruning step (`layercliff.pruning.sweep`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from layercliff.models.blockwise_pass import BlockwisePass, ResidualStream
from layercliff.readout.batches import Batch

Change = Callable[[ResidualStream, Batch], ResidualStream]


@dataclass(frozen=True)
class Fork:
    """A run that leaves the dense stream at `depth`, as `change` makes it.

    It goes on through the blocks `rest`, by their indices in the dense model.
    """

    depth: int
    rest: tuple[int, ...]
    change: Change


def unchanged(stream: ResidualStream, _batch: Batch) -> ResidualStream:
    """The change that is none: only the blocks that follow differ."""
    return stream


def states(
    passage: BlockwisePass, batch: Batch, n_layers: int, forks: Sequence[Fork]
) -> Iterator[tuple[int, Float[Tensor, "row position d"]]]:
    """The dense state at every depth, each followed by the last states of the forks that leave there, in their order.

    Each comes with the depth it is read at, which is the last one for forks.
    """
    stream = passage.embedded
    yield 0, stream.levels[-1]
    for depth in range(n_layers + 1):
        if depth:
            stream = passage.block(depth - 1, stream)
            yield depth, stream.levels[-1]
        for fork in forks:
            if fork.depth == depth:
                yield n_layers, passage.past(fork.rest, fork.change(stream, batch)).levels[-1]


def order(n_layers: int, forks: Sequence[Fork]) -> tuple[Int[np.ndarray, " depth"], Int[np.ndarray, " fork"]]:
    """Where the dense depths, and where the forks, come among `states`."""
    leaves = np.array([fork.depth for fork in forks], dtype=np.int64)
    before = np.array([int((leaves < depth).sum()) for depth in range(n_layers + 1)])
    rank = np.array([int((leaves[:i] == depth).sum()) for i, depth in enumerate(leaves)], dtype=np.int64)
    return np.arange(n_layers + 1) + before, leaves + 1 + before[leaves] + rank


def passes(n_layers: int, forks: Sequence[Fork]) -> int:
    """Block passes of a batch."""
    return n_layers + sum(len(fork.rest) for fork in forks)
