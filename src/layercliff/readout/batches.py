"""Rows in batches: similar lengths together, longest first, never more padded tokens than the budget."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from layercliff.readout.encode import Row

ENOUGH_TOKENS = (
    512  # a batch of so many tokens multiplies matrices at full rate: rather than pad it further, begin another
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that pass through the model together; all are read for one task."""

    rows: tuple[Row, ...]

    @property
    def padded_tokens(self) -> int:
        return len(self.rows) * max(len(row.tokens) for row in self.rows)

    def halves(self) -> tuple["Batch", "Batch"]:
        middle = len(self.rows) // 2
        return Batch(self.rows[:middle]), Batch(self.rows[middle:])

    def ids(self, device: torch.device) -> Int[Tensor, "row position"]:
        """Token ids, padded on the right. Causal attention keeps padding from the tokens before it, so no mask is needed,
        and positions count from the first token in every family."""
        longest = max(len(row.tokens) for row in self.rows)
        return torch.tensor([row.tokens + (0,) * (longest - len(row.tokens)) for row in self.rows], device=device)


def plan(rows: Sequence[Row], budget: int) -> tuple[Batch, ...]:
    """Group `rows` into batches of at most `budget` padded tokens (at least one row). The same rows give the same batches."""
    batches: list[Batch] = []
    pending: list[Row] = []
    for row in sorted(rows, key=lambda row: (-len(row.tokens), row.question, row.option or 0)):
        longest = len(pending[0].tokens) if pending else 0
        full = (len(pending) + 1) * longest > budget
        if pending and (full or (len(row.tokens) < longest and len(pending) * longest >= ENOUGH_TOKENS)):
            batches.append(Batch(tuple(pending)))
            pending = []
        pending.append(row)
    return (*batches, Batch(tuple(pending))) if pending else ()
