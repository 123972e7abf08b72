"""What a path will take, at most."""

from collections.abc import Sequence
from dataclasses import dataclass

from layercliff.choices import Format, Half, OptionMass
from layercliff.pruning.sweep import most_passes
from layercliff.readout import batches
from layercliff.readout.encode import TokenRow


@dataclass(frozen=True)
class Part:
    """The rows of a task, each with the half that its question is in."""

    form: Format
    rows: Sequence[TokenRow]
    halves: Sequence[Half | None]

    def of(self, half: Half) -> list[TokenRow]:
        """The rows of one half."""
        return [row for row, name in zip(self.rows, self.halves, strict=True) if name == half]


@dataclass(frozen=True)
class PathPlan:
    """What a path costs, at most.

    Choosing is counted without reuse between steps. A path with memory for it takes a fraction.

    Attributes:
        removed: Blocks that go, one after another.
        selection_block_passes: Block passes of batches for choosing.
        report_block_passes: Block passes of batches for measuring every step.
        multiplications: Of both.
        report_multiplications: Of measuring alone.
    """

    removed: int
    selection_block_passes: int
    report_block_passes: int
    multiplications: float
    report_multiplications: float


def along(
    parts: Sequence[Part],
    n_layers: int,
    removed: int,
    at_once: int,
    budget: int,
    per_block: float,
    width: int,
    vocabulary: int,
) -> PathPlan:
    """Count a path of `removed` steps.

    Selection runs `at_once` tokens together, measuring `budget`. A token costs `per_block` multiplications in a block.
    """
    selection = report = 0
    choosing = measuring = 0.0
    for part in parts:
        chosen, measured = part.of("select"), part.of("report")
        select, other = batches.plan(chosen, at_once, "branches"), batches.plan(measured, budget, "branches")
        tokens, others = (sum(batch.padded_tokens for batch in planned) for planned in (select, other))
        for gone in range(removed + 1):
            n = n_layers - gone
            report += n * len(other)
            measuring += n * others * per_block + width * rows_of_head(measured, part.form, n, vocabulary, "none")
            if gone < removed:
                selection += most_passes(n) * len(select)
                candidates = rows_of_head(
                    chosen, part.form, n - 1, vocabulary, "none"
                )  # as many as depths of n - 1 blocks
                choosing += most_passes(n) * tokens * per_block + width * candidates
    return PathPlan(removed, selection, report, choosing + measuring, measuring)


def rows_of_head(
    rows: Sequence[TokenRow], form: Format, n_layers: int, vocabulary: int, option_mass: OptionMass
) -> int:
    """Rows of the head multiplied.

    They are the options at every depth, or the whole vocabulary at every position of a continuation.
    """
    if form == "cloze":
        return (n_layers + 1) * sum(len(row.targets) for row in rows) * (vocabulary + 1)
    whole = {"none": 0, "last": 1, "all": n_layers + 1}[option_mass]
    return sum((n_layers + 1) * len(row.targets) + whole * vocabulary for row in rows)
