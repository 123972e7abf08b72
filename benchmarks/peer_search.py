"""How a pruning step is scored without layercliff's search: one candidate after another, with transformers.

`Loop` is the careful way: rows of equal length in batches, only the positions that are read reach the head, and of it
only the options' rows where these suffice. `OneByOne` is the pattern of SLEB's published loop: one row at a time,
logits of the whole vocabulary at every position. Both run the network as it is, without the block, and read it through
its own final norm and head.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from layercliff.choices import Format
from layercliff.models.model import Model
from layercliff.models.surgery import pruned
from layercliff.readout.batches import Batch
from layercliff.readout.encode import TokenRow
from layercliff.readout.read import Reading


@dataclass(frozen=True)
class Loop:
    """Scores candidates one by one, at most `budget` tokens at a time."""

    model: Model
    form: Format
    rows: Sequence[TokenRow]
    budget: int

    @property
    def tokens(self) -> int:
        """Tokens that pass through the blocks for one candidate."""
        return sum(len(row.tokens) for row in self.rows)

    @torch.inference_mode()
    def score(self, kept: Sequence[int]) -> list[tuple[Batch, Reading]]:
        """The model that keeps the blocks `kept` on all rows; a reading has one candidate."""
        with pruned(self.model.network, kept):
            return [(batch, self._read(batch)) for batch in self._batches()]

    def _batches(self) -> Iterator[Batch]:
        ordered = sorted(self.rows, key=lambda row: len(row.tokens))
        for length, group in groupby(ordered, key=lambda row: len(row.tokens)):
            rows, most = list(group), max(1, self.budget // length)
            yield from (Batch(tuple(rows[at : at + most])) for at in range(0, len(rows), most))

    def _read(self, batch: Batch) -> Reading:
        ids = torch.tensor([row.tokens for row in batch.rows])
        normed: Tensor = self.model.anatomy.backbone(input_ids=ids, use_cache=False).last_hidden_state
        if self.form == "cloze":
            scores = torch.stack([_continuation(self.model, normed[n], row) for n, row in enumerate(batch.rows)])
        else:
            scores = _options(self.model, normed[:, -1], batch.rows)
        shape = (1, len(batch.rows))
        return Reading(
            scores[None].numpy(), torch.full(shape, torch.nan).numpy(), torch.zeros(shape, dtype=torch.bool).numpy()
        )


@dataclass(frozen=True)
class OneByOne:
    """Scores candidates one by one and rows one by one, with the logits of all positions."""

    model: Model
    form: Format

    @torch.inference_mode()
    def score(self, row: TokenRow) -> Tensor:
        """The network, pruned already by the caller, on one row: log-probabilities of its targets."""
        logits = self.model.network(input_ids=torch.tensor([row.tokens]), use_cache=False).logits[0]
        log_p = logits.float().log_softmax(-1)
        if self.form == "cloze":
            return log_p[-len(row.targets) :].gather(1, torch.tensor(row.targets)[:, None]).sum()
        return log_p[-1, list(row.targets)]


def _options(model: Model, last: Tensor, rows: Sequence[TokenRow]) -> Tensor:
    """The options' logits, padded with nan."""
    most = max(len(row.targets) for row in rows)
    tokens = torch.tensor([row.targets + (0,) * (most - len(row.targets)) for row in rows])
    absent = torch.tensor([[index >= len(row.targets) for index in range(most)] for row in rows])
    return model.anatomy.unembedding.tokens(last, tokens).masked_fill(absent, torch.nan)


def _continuation(model: Model, normed: Tensor, row: TokenRow) -> Tensor:
    """The summed log-probability of a row's continuation."""
    logits = model.network.get_output_embeddings()(normed[-len(row.targets) :]).float()
    return logits.log_softmax(-1).gather(1, torch.tensor(row.targets)[:, None]).sum()[None]
