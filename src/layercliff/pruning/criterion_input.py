"""What every criterion is given."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from layercliff.errors import RunError
from layercliff.models.model import Model
from layercliff.progress import Note, Report, mute, silent
from layercliff.pruning.objective import TextObjective
from layercliff.readout import logit_agreement
from layercliff.readout.encode import TokenRow
from layercliff.readout.encoded_task import EncodedTask
from layercliff.run.directory import Journal

FIRST, LAST = 4, 2  # blocks at the ends that Shortened LLaMA leaves alone


@dataclass(frozen=True)
class CriterionInput:
    """The model, the ``select`` half of each task, and texts, as encoded passages by name.

    `protected`: blocks that stay. `steps`: how many blocks a path removes at most. `memory_bytes` bounds the states
    held. `race`: the family-wise error allowed to a race (None: every candidate is scored on everything). `journal`
    keeps finished work, under keys of `subject` and whatever else determines it. `draw`, `within`: of a random
    order, its number, and the blocks that go before all others (None: no such blocks).
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
    draw: int = 0
    within: Sequence[int] | None = None

    @cached_property
    def passages(self) -> list[TextObjective]:
        """The texts as what candidates are measured on."""
        return [
            TextObjective(name, rows, logit_agreement.of(self.model, rows, f"text of {name}", self.note).sharing)
            for name, rows in self.text
        ]

    def neighbours(self, kept: Sequence[int]) -> list[tuple[int, int]]:
        """The blocks of `kept` that follow one another, none of them protected."""
        return [pair for pair in pairwise(kept) if not set(pair) & set(self.protected)]

    def ends_protected(self) -> "CriterionInput":
        """The same with the first four and the last two blocks protected (Shortened LLaMA: Kim et al. 2024).

        Raises `RunError` for a model that has no other blocks.
        """
        n = self.model.n_layers
        if n <= FIRST + LAST:
            raise RunError(
                f"A criterion with + leaves the first {FIRST} and last {LAST} blocks alone, and the model has {n}: "
                "use it without the +."
            )
        ends = {*range(FIRST), *range(n - LAST, n)}
        return replace(self, protected=tuple(sorted(ends | set(self.protected))))
