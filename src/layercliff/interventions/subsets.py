"""Which sets of blocks are removed to compare the phases: known without a model."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from layercliff.random_streams import RandomStream, generator

DRAWS = 20  # random subsets of each kind, at least


@dataclass(frozen=True)
class Subset:
    """Blocks that are removed, in dense indices, and what `kind` of set they are."""

    kind: str
    removed: tuple[int, ...]

    def kept(self, n_layers: int) -> tuple[int, ...]:
        """The blocks that are left."""
        return tuple(block for block in range(n_layers) if block not in self.removed)


def size(n_layers: int, transition: int) -> int:
    """How many blocks go: half of the shorter phase, rounded up (our choice).

    Both phases then have several such subsets.
    """
    return -(-min(transition, n_layers - transition) // 2)


def drawn(n_layers: int, transition: int, seed: int) -> list[Subset]:
    """Random subsets of equal size of the ``silent`` and the ``decisive`` phase, and from ``anywhere``.

    They are all subsets there are where these are no more than `DRAWS`. Blocks take turns: each has gone before any
    but a few go again, so that one that nothing works without is never missed.
    """
    m = size(n_layers, transition)
    phases = {"silent": range(transition), "decisive": range(transition, n_layers), "anywhere": range(n_layers)}
    return [
        Subset(kind, removed)
        for number, (kind, blocks) in enumerate(phases.items())
        for removed in _some(blocks, m, generator(RandomStream.SUBSETS, seed, number))
    ]


def is_whole(subsets: Iterable[Subset], kind: str, n_blocks: int, m: int) -> bool:
    """Whether all subsets of `m` of so many blocks are among those of a kind."""
    return sum(subset.kind == kind for subset in subsets) == comb(n_blocks, m)


def _some(blocks: range, m: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Different subsets of `m` blocks.

    All blocks in random order are cut into pieces, the last one filled up from the beginning; and again, until there
    are enough.
    """
    n = len(blocks)
    if comb(n, m) <= DRAWS:
        return list(combinations(blocks, m))
    found: set[tuple[int, ...]] = set()
    while len(found) < DRAWS:
        turns = [int(block) for block in rng.permutation(np.array(blocks))]
        found |= {tuple(sorted((turns + turns)[begin : begin + m])) for begin in range(0, n, m)}
    return sorted(found)
