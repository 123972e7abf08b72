"""Batches run in halves where memory runs out."""

from collections.abc import Callable
from typing import TypeVar

import torch

from layercliff.errors import ModelError
from layercliff.machine import out_of_memory
from layercliff.readout.batches import Batch

Found = TypeVar("Found")


class BatchHalving:
    """Runs batches whole, and in halves once one did not fit in memory.

    Attributes:
        budget: Tokens of a batch at most. None until memory ran out.
    """

    def __init__(self, free: Callable[[int], None], too_large: Callable[[int], ModelError]) -> None:
        self._free, self._too_large = free, too_large
        self.budget: int | None = None

    def run(self, batch: Batch, work: Callable[[Batch], Found]) -> list[Found]:
        """Work on a batch, or on its parts in their order.

        Args:
            batch: What is run.
            work: Is given the batch, or each part.

        Returns:
            What `work` gives of each part.

        Raises:
            ModelError: Where a single row does not fit.
        """
        if self.budget is not None and batch.padded_tokens > self.budget and len(batch.rows) > 1:
            return [found for half in batch.halves() for found in self.run(half, work)]
        try:
            return [work(batch)]
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(batch.rows) == 1:
            raise self._too_large(batch.padded_tokens)
        self._free(batch.padded_tokens)
        self.budget = batch.padded_tokens // 2
        return self.run(batch, work)
