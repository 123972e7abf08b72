"""Progress of work in several stages: one bar over all of them, from block passes counted beforehand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from layercliff.progress import Report
from layercliff.pruning.sweep import most_passes

Work = TypeVar("Work")

ALL = "all stages"

RACED = 0.4  # of a step's block passes that a race with reuse takes, about
NOISES = 3  # sizes of noise
HALF = 0.5  # of the questions
TRAINED = 3  # block passes forward and backward

OF_PHASES = ("noise at every depth", "blocks and pairs taken out", "blocks of either phase taken out")
OF_TRANSITION_AND_COLLAPSE = ("removing blocks: tail", "removing blocks: random", "states exchanged")
OF_COLLAPSE = (*OF_TRANSITION_AND_COLLAPSE, "states of", "trained models")


def costs(n_layers: int, random_paths: int, trained: float) -> dict[str, float]:
    """About how many block passes per question each stage of `layercliff claims` takes, at most.

    Stages are named by the beginning of what they say of their progress. `trained` says how often as many questions
    as are asked pass through a training, over all models.
    """
    forked = n_layers * (n_layers + 1) / 2
    along = HALF * forked  # a path measured at every step
    chosen = HALF * RACED * sum(most_passes(n) for n in range(2, n_layers + 1))
    found = {
        "reading the model at every depth": n_layers,
        "removing blocks: margin": chosen + along,
        "random weights": n_layers,
        "noise at every depth": NOISES * forked,
        "blocks and pairs taken out": HALF * 2 * forked,
        "blocks of either phase taken out": HALF * 40 * n_layers,
        "removing blocks: tail": HALF * n_layers,  # every step is a depth of the dense model
        "removing blocks: random": random_paths * along,
        "states of": 3 * n_layers,
        "states exchanged": HALF * 2 * n_layers + HALF * forked,
        "trained models": TRAINED * trained * n_layers,
    }
    return {name: float(cost) for name, cost in found.items()}


class Stages:
    """Tells `report` of each stage, and of all of them together."""

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
