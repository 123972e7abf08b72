"""Which blocks an ablation takes out, and how: known without a model."""

from dataclasses import dataclass
from typing import Literal

How = Literal["skip", "mean"]


@dataclass(frozen=True)
class Removal:
    """`size` blocks from `first` on, out of the way in one of two manners."""

    how: How
    first: int
    size: int

    @property
    def blocks(self) -> tuple[int, ...]:
        return tuple(range(self.first, self.first + self.size))


def removals(n_layers: int) -> list[Removal]:
    """Every block and every adjacent pair, skipped, then all of these replaced by their mean."""
    manners: tuple[How, ...] = ("skip", "mean")
    return [Removal(how, first, size) for how in manners for size in (1, 2) for first in range(n_layers - size + 1)]
