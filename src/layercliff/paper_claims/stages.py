"""Progress of work in several stages: one bar over all of them, from block passes counted beforehand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from layercliff.progress import Report

Work = TypeVar("Work")

ALL = "all stages"


class Stages:
    """Tells `report` of each stage, and of all of them together.

    Stages are named by the beginning of what they tell of their progress. `costs` says of each about how many block
    passes per question it takes, at most.
    """

    def __init__(self, report: Report, costs: dict[str, float]) -> None:
        self.report, self._costs = report, costs
        self._left = dict(costs)

    def run(self, name: str, work: Callable[[Report], Work]) -> Work:
        """Do a stage: `work` is given what to tell of its progress."""
        found = work(_StageReport(self, name))
        self.left(name, 0.0)
        return found

    def skip(self, *names: str) -> None:
        """Stages that need not be done: as if they had never been planned."""
        for name in names:
            self._costs[name] = self._left[name] = 0.0

    def left(self, name: str, share: float) -> None:
        """Tell that at most this share of a stage is left."""
        self._left[name] = min(self._left[name], self._costs[name] * share)
        total = round(sum(self._costs.values()))
        self.report(ALL, total - round(sum(self._left.values())), total)


@dataclass(frozen=True)
class _StageReport:
    """Passes on what a stage tells, and counts it for all stages if it is the stage's own."""

    stages: Stages
    name: str

    def __call__(self, what: str, done: int, total: int, /) -> None:
        self.stages.report(what, done, total)
        if what.startswith(self.name.partition(":")[0]):
            self.stages.left(self.name, 1 - done / max(1, total))
