"""What candidates are measured on: a task's questions, or text."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from layercliff.choices import Format, Sharing
from layercliff.metrics.decision import Gold, Mask
from layercliff.readout.batches import Batch
from layercliff.readout.encode import TokenRow
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.read import Reading

Values = Float[np.ndarray, "candidate question"]
OptionScores = Float[np.ndarray, "candidate question option"]
"""Scores of the last depth before the softmax, of the model without each candidate."""


@runtime_checkable
class Objective(Protocol):
    """Rows to run, in independent units (questions, passages), and a value per candidate and unit, higher is better."""

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

    def subset(self, units: Sequence[int]) -> "Objective":
        """Only the units of these indices, in their order."""
        ...

    def values(self, readings: Iterable[tuple[Batch, Reading]]) -> Float[np.ndarray, "candidate unit"]:
        """Of readings that have a row per candidate where a trace has one per depth."""
        ...


@dataclass(frozen=True)
class TaskObjective:
    """The last depth's scores of a task's questions, made into a value per question by `value`."""

    asked: EncodedTask
    value: Callable[[OptionScores, Mask, Gold], Values]

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

    def subset(self, units: Sequence[int]) -> "TaskObjective":
        return replace(self, asked=self.asked.subset(units))

    def values(self, readings: Iterable[tuple[Batch, Reading]]) -> Float[np.ndarray, "candidate unit"]:
        scores, _ = self.asked.scores(readings)
        return self.value(scores, self.asked.mask, self.asked.gold)


@dataclass(frozen=True)
class TextObjective:
    """The mean log-likelihood of a passage's tokens, minus the loss (SLEB: Song et al. 2024, eq. 1, per passage)."""

    name: str
    rows: tuple[TokenRow, ...]
    sharing: Sharing
    form: Format = "cloze"

    def __len__(self) -> int:
        return len(self.rows)

    def subset(self, units: Sequence[int]) -> "TextObjective":
        return replace(self, rows=tuple(replace(self.rows[unit], question=i) for i, unit in enumerate(units)))

    def values(self, readings: Iterable[tuple[Batch, Reading]]) -> Float[np.ndarray, "candidate unit"]:
        found = np.empty((0, 0))
        for batch, reading in readings:
            if not found.size:
                found = np.full((len(reading.scores), len(self.rows)), np.nan)
            for number, row in enumerate(batch.rows):
                found[:, row.question] = reading.scores[:, number, 0] / len(row.targets)
        return found
