"""Which blocks an ablation skips or replaces by their mean: known without a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

How = Literal["skip", "mean"]
HOW: tuple[How, ...] = ("skip", "mean")


@dataclass(frozen=True)
class AblatedBlocks:
    """`size` blocks from `first` on, skipped or replaced by what they add on average."""

    how: How
    first: int
    size: int

    @property
    def blocks(self) -> tuple[int, ...]:
        return tuple(range(self.first, self.first + self.size))


def ablated_blocks(n_layers: int, manners: Sequence[How] = HOW) -> list[AblatedBlocks]:
    """Every block and then every adjacent pair, in one manner after the other."""
    return [
        AblatedBlocks(how, first, size) for how in manners for size in (1, 2) for first in range(n_layers - size + 1)
    ]
