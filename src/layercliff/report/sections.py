"""The analyses that a run directory holds, as parts of its page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from layercliff.analyses.registry import RegisteredAnalysis, analyses
from layercliff.comparison.result import readable
from layercliff.pruning.result import Pruned
from layercliff.report.chart import Figure
from layercliff.run.directory import RunDirectory


@dataclass(frozen=True)
class Section:
    """A finished analysis on the page: `found` is what ``result.read`` of its folder gives. Drawn when it is asked
    for."""

    analysis: RegisteredAnalysis
    found: Any

    @property
    def name(self) -> str:
        return self.analysis.name

    @property
    def heading(self) -> str:
        return self.analysis.heading

    @cached_property
    def sentence(self) -> str:
        """What was found, in words."""
        words: str = self.analysis.module("figures").sentence(self.found)
        return words

    @cached_property
    def table(self) -> tuple[tuple[str, ...], ...]:
        """A heading and rows, or nothing."""
        drawn = self.analysis.module("figures")
        table: tuple[tuple[str, ...], ...] = drawn.table(self.found) if hasattr(drawn, "table") else ()
        return table

    @cached_property
    def figures(self) -> tuple[Figure, ...]:
        return tuple(self.analysis.module("figures").figures(self.found))


def sections(run: RunDirectory, paths: Sequence[Pruned], unread: list[str]) -> Iterator[Section]:
    """Every finished analysis in the order of the page.

    Damaged ones are left out, and added to `unread` (`readable`). Those of steps of a path are left out where no path
    among `paths` has these steps: it has been replaced since.
    """
    for analysis in analyses().values():
        if analysis.place is None:
            continue
        found = readable(analysis.module("result").read, run, unread)
        if found is None or (analysis.of_steps and not any(path.holds(found.settings) for path in paths)):
            continue
        yield Section(analysis, found)


def sentence(run: RunDirectory, name: str) -> str | None:
    """What the analysis `name` of a run directory found, in words; None where it is not finished. Nothing is drawn.

    Raises `RunError` where its results are damaged.
    """
    analysis = analyses()[name]
    found = analysis.module("result").read(run)
    return None if found is None else Section(analysis, found).sentence
