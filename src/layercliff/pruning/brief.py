"""What every criterion is given."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from layercliff.models.model import Model
from layercliff.progress import Note, Report, mute, silent
from layercliff.pruning.measure import OnText
from layercliff.readout import logit_agreement
from layercliff.readout.encode import TokenRow
from layercliff.readout.encoded_task import EncodedTask
from layercliff.run.directory import Journal


@dataclass(frozen=True)
class Brief:
    """The model, the questions selected on, task by task, and text, as passages by name.

    `steps` is how many blocks a path removes at most; `memory_bytes` bounds the states held, `race` is the family-wise error allowed to a race (None: every
    candidate is scored on everything). `journal` keeps finished work under keys made of `subject` and what determines it.
    """

    model: Model
    asked: tuple[EncodedTask, ...]
    text: tuple[tuple[str, tuple[TokenRow, ...]], ...]
    protected: Sequence[int]
    steps: int
    seed: int
    batch_tokens: int
    memory_bytes: int = 2**32
    race: float | None = None
    journal: Journal | None = None
    subject: object = None
    report: Report = silent
    note: Note = mute

    @cached_property
    def passages(self) -> list[OnText]:
        """The text as what candidates are measured on."""
        return [
            OnText(name, rows, logit_agreement.of(self.model, rows, f"text of {name}", self.note).sharing)
            for name, rows in self.text
        ]

    def neighbours(self, kept: Sequence[int]) -> list[tuple[int, int]]:
        """The blocks of `kept` that follow one another, none of them protected."""
        return [pair for pair in pairwise(kept) if not set(pair) & set(self.protected)]
