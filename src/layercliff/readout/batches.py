"""Rows in batches: similar lengths together, longest first, within a token budget. Shared tokens run once."""

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, pairwise

import torch

from layercliff.choices import Apart, Sharing
from layercliff.models.blockwise_pass import Segment
from layercliff.readout.encode import TokenRow
from layercliff.readout.token_tree import TokenTree

LAUNCH = (
    1 / 128
)  # of the budget: a batch more costs about what so many tokens do, so that less padding than that is no reason for one
SEEN = 8  # times the budget: so many tokens at most are seen through keys and values, which have to be copied


@dataclass(frozen=True)
class Batch:
    """Rows that pass through the model together, all of one task.

    Attributes:
        rows: What is asked.
        lead: So many first tokens are the same in all rows, and run once.
        branching: Rows of a question are one sequence that branches where they part. Otherwise only rows with equal
            tokens are.
    """

    rows: tuple[TokenRow, ...]
    lead: int = 0
    branching: bool = False

    @cached_property
    def sequences(self) -> tuple[TokenTree, ...]:
        """What runs after the prefix: one sequence per question, or per row."""
        units: dict[Hashable, list[TokenRow]] = {}
        for row in self.rows:
            units.setdefault(_unit(row, self.branching), []).append(row)
        return tuple(TokenTree.of([row.tokens[self.lead :] for row in unit]) for unit in units.values())

    @cached_property
    def places(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """For each row, its sequence and the places of its tokens in it, after the prefix."""
        units: dict[Hashable, int] = {}
        found = []
        for row in self.rows:
            unit = units.setdefault(_unit(row, self.branching), len(units))
            found.append((unit, self.sequences[unit].path(row.tokens[self.lead :])))
        return tuple(found)

    @cached_property
    def begins(self) -> tuple[tuple[int, int], ...]:
        """Where first tokens stand in the first segment: sequence and place."""
        if self.lead:
            return ((0, 0),)
        return tuple(
            (n, p) for n, s in enumerate(self.sequences) for p, before in enumerate(s.positions()) if not before
        )

    @property
    def padded_tokens(self) -> int:
        """Tokens that pass through the blocks, padding included."""
        return self.lead + len(self.sequences) * max(len(sequence) for sequence in self.sequences)

    def halves(self) -> tuple["Batch", "Batch"]:
        """The batch in two, cut in the middle of its rows."""
        middle = len(self.rows) // 2
        return replace(self, rows=self.rows[:middle]), replace(self, rows=self.rows[middle:])

    def levels(self, device: torch.device) -> tuple[Segment, ...]:
        """The batch as segments of token ids, padded on the right.

        No mask is needed where nothing branches: causal attention hides padding from the tokens before it. Positions
        count from the first token in every family.

        Args:
            device: Where the segments are to be.

        Returns:
            The prefix [1 position], if there is one, and the sequences [sequence position].
        """
        longest = max(len(sequence) for sequence in self.sequences)
        ids = torch.tensor([s.tokens + (0,) * (longest - len(s)) for s in self.sequences], device=device)
        tree = None
        if any(sequence.parts for sequence in self.sequences):
            tree = TokenTree.tree(self.sequences, self.lead, device)
        if not self.lead:
            return (Segment(ids, tree=tree),)
        lead = torch.tensor([self.rows[0].tokens[: self.lead]], device=device)
        return Segment(lead), Segment(ids, torch.zeros(len(ids), dtype=torch.long, device=device), tree)


def plan(
    rows: Sequence[TokenRow], budget: int, share: Sharing = "nothing", *, apart: Apart = "nothing"
) -> tuple[Batch, ...]:
    """Group rows into batches. Equal rows give equal batches.

    Args:
        rows: Rows of one task.
        budget: Tokens of a batch at most, padding included. A batch has one row at least.
        share: What rows may share (see `layercliff.choices.Sharing`).
        apart: What shares nothing, whatever `share` says.

    Returns:
        Batches, longest rows first.
    """
    lead = common(rows) if share in ("lead", "branches") and apart == "nothing" and len(rows) > 1 else 0
    branching = share == "branches" and apart != "rows"
    found = sorted(_units(rows, lead, branching), key=lambda unit: (-unit[0], _order(unit[1][0])))
    ends = _cuts([length for length, _ in found], lead, budget, share)
    units = [unit for _, unit in found]
    return tuple(
        Batch(tuple(row for unit in units[begin:end] for row in unit), lead, branching)
        for begin, end in pairwise((0, *ends))
    )


def _cuts(lengths: list[int], lead: int, budget: int, share: Sharing) -> list[int]:
    """Where batches end. Rows of different length may have to be kept apart, or all rows."""
    if share == "alone":
        return list(range(1, len(lengths) + 1))
    if share != "alike":
        return _ends(lengths, lead, budget)
    found: list[int] = []
    for length, run in groupby(lengths):
        begin = found[-1] if found else 0
        found += [begin + end for end in _ends([length for _ in run], lead, budget)]
    return found


def _ends(lengths: Sequence[int], lead: int, budget: int) -> list[int]:
    """Where batches of ever shorter sequences end, at the least cost in tokens and batches.

    It is a shortest path from the first sequence to the last. Cuts lie where the length changes or a batch is full.
    """
    changes = [n for n in range(1, len(lengths)) if lengths[n] != lengths[n - 1]] + [len(lengths)]
    cheapest: dict[int, tuple[float, int]] = {0: (0.0, 0)}  # up to a cut: the cost, and the cut before
    for begin in range(len(lengths)):
        if begin not in cheapest:
            continue
        spent, longest = cheapest[begin][0], lengths[begin]
        most = min((budget - lead) // longest, SEEN * budget // lead if lead else budget)
        full = min(begin + max(1, most), len(lengths))
        for end in (*changes[bisect_right(changes, begin) : bisect_left(changes, full)], full):
            cost = spent + (end - begin) * longest + LAUNCH * budget
            if end not in cheapest or cost < cheapest[end][0]:
                cheapest[end] = (cost, begin)
    found = []
    end = len(lengths)
    while end:
        found.append(end)
        end = cheapest[end][1]
    return found[::-1]


def _units(rows: Sequence[TokenRow], lead: int, branching: bool) -> Iterator[tuple[int, list[TokenRow]]]:
    """Rows that run as one sequence, with its length."""
    units: dict[Hashable, list[TokenRow]] = {}
    for row in sorted(rows, key=_order):
        units.setdefault(_unit(row, branching), []).append(row)
    for unit in units.values():
        yield len(TokenTree.of([row.tokens[lead:] for row in unit])), unit


def _unit(row: TokenRow, branching: bool) -> Hashable:
    return row.question if branching else (row.question, row.tokens)


def _order(row: TokenRow) -> tuple[int, int]:
    return row.question, row.option or 0


def common(rows: Sequence[TokenRow]) -> int:
    """The length of the prefix of all rows, without positions that are read.

    Args:
        rows: At least one.

    Returns:
        A number of tokens.
    """
    first, last = min(row.tokens for row in rows), max(row.tokens for row in rows)  # the two that differ soonest
    alike = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return min(alike, *(read_from(row) for row in rows))


def read_from(row: TokenRow) -> int:
    """The first position that is read.

    Args:
        row: A row.

    Returns:
        A position, from 0.
    """
    return len(row.tokens) - (1 if row.option is None else len(row.targets))
