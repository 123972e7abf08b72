"""Rows in batches: similar lengths together, longest first, never more tokens than the budget; what rows have in common is run once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch

from layercliff.models.passage import Level
from layercliff.readout.encode import Row

ENOUGH = (
    1 / 8
)  # of the budget: a batch of so many tokens multiplies matrices at full rate; rather than pad it further, begin another
SEEN = 8  # times the budget: so many tokens at most are seen through keys and values, which have to be copied


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that pass through the model together; all are read for one task.

    The first `lead` tokens are the same in all rows, the first `stem` (0: none) in all rows of a question; those are run once.
    """

    rows: tuple[Row, ...]
    lead: int = 0
    stem: int = 0

    @property
    def shared(self) -> int:
        """How many tokens of each row are not its own."""
        return max(self.lead, self.stem)

    @property
    def padded_tokens(self) -> int:
        """Tokens that pass through the blocks."""
        questions, longest = len({row.question for row in self.rows}), max(len(row.tokens) for row in self.rows)
        return _cost(len(self.rows), questions, longest, self.lead, self.stem)

    def halves(self) -> tuple["Batch", "Batch"]:
        middle = len(self.rows) // 2
        return replace(self, rows=self.rows[:middle]), replace(self, rows=self.rows[middle:])

    def levels(self, device: torch.device) -> tuple[Level, ...]:
        """Token ids, padded on the right. Causal attention keeps padding from the tokens before it, so no mask is needed,
        and positions count from the first token in every family."""
        found: list[Level] = []
        if self.lead:
            found.append(Level(torch.tensor([self.rows[0].tokens[: self.lead]], device=device)))
        parent = [0] * len(self.rows)
        if self.stem:
            stems = {row.question: row.tokens[self.lead : self.stem] for row in self.rows}
            above = torch.zeros(len(stems), dtype=torch.long, device=device) if found else None
            found.append(Level(torch.tensor(list(stems.values()), device=device), above))
            place = {question: index for index, question in enumerate(stems)}
            parent = [place[row.question] for row in self.rows]
        own = [row.tokens[self.shared :] for row in self.rows]
        longest = max(map(len, own))
        ids = torch.tensor([tokens + (0,) * (longest - len(tokens)) for tokens in own], device=device)
        found.append(Level(ids, torch.tensor(parent, device=device) if found else None))
        return tuple(found)


def plan(rows: Sequence[Row], budget: int, share: bool = False) -> tuple[Batch, ...]:
    """Group `rows` into batches of at most `budget` tokens to run (at least one row). The same rows give the same batches.

    With `share`, what all rows begin with and what the rows of a question begin with is run once in a batch.
    """
    lead = _common(rows) if share and len(rows) > 1 else 0
    batches: list[Batch] = []
    pending: list[Row] = []
    questions = longest = seen = cost = 0
    kind = (0, 0)
    for shape, unit in sorted(_units(rows, share, lead), key=lambda found: (found[0], found[1][0].question)):
        length, tokens = max(len(row.tokens) for row in unit), sum(len(row.tokens) for row in unit)
        grown = _cost(len(pending) + len(unit), questions + 1, max(longest, length), lead, -shape[0])
        fits = grown <= budget and seen + tokens <= SEEN * budget
        if pending and (not fits or (shape != kind and cost >= ENOUGH * budget)):
            batches.append(Batch(tuple(pending), lead, -kind[0]))
            pending, questions, longest, seen = [], 0, 0, 0
        pending += unit
        questions, longest, seen = questions + 1, max(longest, length), seen + tokens
        kind, cost = shape, _cost(len(pending), questions, longest, lead, -shape[0])
    return (*batches, Batch(tuple(pending), lead, -kind[0])) if pending else ()


def _units(rows: Sequence[Row], share: bool, lead: int) -> Iterator[tuple[tuple[int, int], list[Row]]]:
    """Rows that stay together, with minus the tokens they share and minus the longest one's tokens."""
    ordered = sorted(rows, key=lambda row: (row.question, row.option or 0))
    for _, group in groupby(ordered, key=lambda row: row.question):
        unit = list(group)
        if share and len(unit) > 1 and (stem := _common(unit)) > lead:
            yield (-stem, -max(len(row.tokens) for row in unit)), unit
        else:
            yield from (((0, -len(row.tokens)), [row]) for row in unit)


def _common(rows: Sequence[Row]) -> int:
    """How many tokens all rows begin with, short of the positions that are read."""
    first, last = min(row.tokens for row in rows), max(row.tokens for row in rows)  # the two that differ soonest
    alike = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return min(alike, *(read_from(row) for row in rows))


def read_from(row: Row) -> int:
    """The first position that is read."""
    return len(row.tokens) - (1 if row.option is None else len(row.targets))


def _cost(rows: int, questions: int, longest: int, lead: int, stem: int) -> int:
    return lead + max(0, stem - lead) * questions + rows * (longest - max(lead, stem))
