"""What candidates are measured on: a task's questions, or text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from layercliff.choices import Format, Sharing
from layercliff.pruning import criteria
from layercliff.readout.batches import Batch
from layercliff.readout.encode import TokenRow
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.read import Reading


@runtime_checkable
class Measure(Protocol):
    """Rows to run, in units (questions, passages) that are independent of one another, and a value per candidate and unit, higher is better."""

    @property
    def name(self) -> str: ...

    @property
    def form(self) -> Format: ...

    @property
    def rows(self) -> tuple[TokenRow, ...]: ...

    @property
    def sharing(self) -> Sharing:
        """How the rows may be run."""
        ...

    def __len__(self) -> int:
        """The number of units."""
        ...

    def subset(self, units: Sequence[int]) -> "Measure":
        """Only the units of these indices, in their order."""
        ...

    def values(self, readings: Iterable[tuple[Batch, Reading]]) -> Float[np.ndarray, "candidate unit"]:
        """Of readings that have a row per candidate where a trace has one per depth."""
        ...


@dataclass(frozen=True)
class OnTask:
    """The last depth's scores of a task's questions, by one of `criteria.SCORES`."""

    asked: EncodedTask
    score: str

    @property
    def name(self) -> str:
        return self.asked.task.name

    @property
    def form(self) -> Format:
        return self.asked.form

    @property
    def rows(self) -> tuple[TokenRow, ...]:
        return self.asked.rows

    @property
    def sharing(self) -> Sharing:
        return self.asked.sharing

    def __len__(self) -> int:
        return len(self.asked.questions)

    def subset(self, units: Sequence[int]) -> "OnTask":
        return replace(self, asked=self.asked.subset(units))

    def values(self, readings: Iterable[tuple[Batch, Reading]]) -> Float[np.ndarray, "candidate unit"]:
        scores, _ = self.asked.scores(readings)
        return criteria.SCORES[self.score](scores, self.asked.mask, self.asked.gold)


@dataclass(frozen=True)
class OnText:
    """The mean log-likelihood of a passage's tokens, minus the loss (SLEB: Song et al. 2024, eq. 1, per passage)."""

    name: str
    rows: tuple[TokenRow, ...]
    sharing: Sharing
    form: Format = "cloze"

    def __len__(self) -> int:
        return len(self.rows)

    def subset(self, units: Sequence[int]) -> "OnText":
        return replace(self, rows=tuple(replace(self.rows[unit], question=i) for i, unit in enumerate(units)))

    def values(self, readings: Iterable[tuple[Batch, Reading]]) -> Float[np.ndarray, "candidate unit"]:
        found = np.empty((0, 0))
        for batch, reading in readings:
            if not found.size:
                found = np.full((len(reading.scores), len(self.rows)), np.nan)
            for number, row in enumerate(batch.rows):
                found[:, row.question] = reading.scores[:, number, 0] / len(row.targets)
        return found
