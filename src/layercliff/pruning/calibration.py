"""What criteria look at that read states: the prompts selected on, at every depth."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from layercliff.pruning.criterion_input import CriterionInput
from layercliff.readout import batches
from layercliff.readout.batches import Batch
from layercliff.readout.encode import TokenRow


def rows_of(given: CriterionInput) -> Iterator[Sequence[TokenRow]]:
    """Task by task, the prompts selected on, with their right answers where the answer is run (*cloze*)."""
    for part in given.asked:
        yield [row for row in part.rows if row.option in (None, part.questions[row.question].gold)]


def batches_of(given: CriterionInput) -> Iterator[Batch]:
    """The same in batches."""
    for part, rows in zip(given.asked, rows_of(given), strict=True):
        yield from batches.plan(rows, given.batch_tokens, part.sharing, apart="rows")


def tokens(batch: Batch) -> Bool[Tensor, "row position"]:
    """Where a batch holds tokens, not padding."""
    longest = max(len(row.tokens) for row in batch.rows)
    return torch.tensor([[p < len(row.tokens) for p in range(longest)] for row in batch.rows])


def deciding(batch: Batch) -> tuple[Int[Tensor, " row"], Int[Tensor, " row"]]:
    """Rows and positions of the tokens that decide."""
    return torch.arange(len(batch.rows)), torch.tensor([batches.read_from(row) for row in batch.rows])


def depths(
    given: CriterionInput, batch: Batch, kept: Sequence[int] | None = None
) -> Iterator[Float[Tensor, "row position d"]]:
    """The residual stream at every depth, in float32 on the CPU, of the model that keeps `kept` (default: all)."""
    anatomy = given.model.anatomy
    passage = anatomy.enter(batch.levels(given.model.device))
    with anatomy.computing():
        for _, hidden in passage.depths(kept):
            yield hidden.float().cpu()
