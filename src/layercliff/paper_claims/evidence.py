"""What claims are judged by: stored results of one model and task, and how each is made where it is missing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
from jaxtyping import Float

from layercliff.analyses.intervention_result import InterventionResult
from layercliff.analyses.trace.result import Traced
from layercliff.metrics import decision
from layercliff.metrics.collapse import Collapse
from layercliff.metrics.phases import Transition
from layercliff.paper_claims import deciding, requirements
from layercliff.paper_claims.intervals import Sampled
from layercliff.paper_claims.spec import ClaimsSpec
from layercliff.pruning.result import Pruned
from layercliff.readout.trace import Trace
from layercliff.run.directory import RunDirectory

Losses = Float[np.ndarray, "_ question"]
"""Decision margin that interventions lose, a row for each."""

Found = TypeVar("Found")


@dataclass(frozen=True)
class Planned:
    """What the work of a measurement is estimated from, before any is done."""

    n_layers: int
    questions: int
    run: RunDirectory

    @property
    def forked(self) -> float:
        """Block passes per question of a change at every depth: each runs what lies above it."""
        return self.n_layers * (self.n_layers + 1) / 2


def _any(_kept: Any, _evidence: "Evidence") -> bool:
    return True


def _nothing(_run: RunDirectory) -> None:
    pass


def _always(_spec: ClaimsSpec) -> bool:
    return True


@dataclass(frozen=True, eq=False)
class Measurement(Generic[Found]):
    """A stored result that claims are judged by, and how it is made.

    * `progress`: how what it tells of its progress begins.
    * `place`: measurements are made in this order, smallest first.
    * `passes`: about how many block passes per question it takes, at most.
    * `read`: what a run directory holds of it.
    * `run`: makes it. It is also given what is held and does not suffice.
    * `suffices`: whether what is held is as good as a new one.
    * `check`: raises `LayercliffError` where it could not be made, before anything else is.
    * `asked`: whether it may be made. If not, what is held is taken as it is.
    """

    progress: str
    place: int
    passes: Callable[[Planned], float]
    read: Callable[[RunDirectory], Found | None]
    run: Callable[[ClaimsSpec, "Evidence", Found | None], Found]
    suffices: Callable[[Found, "Evidence"], bool] = _any
    check: Callable[[RunDirectory], None] = _nothing
    asked: Callable[[ClaimsSpec], bool] = _always


@dataclass(frozen=True)
class Evidence:
    """Stored results of one model and task: its trace, its path by margin, and measurements."""

    traced: Traced
    path: Pruned
    measured: Mapping[Measurement[Any], Any] = field(default_factory=dict)

    def __contains__(self, one: Measurement[Any]) -> bool:
        return one in self.measured

    def __getitem__(self, one: Measurement[Found]) -> Found:
        """A measurement that is there."""
        found: Found = self.measured[one]
        return found

    def get(self, one: Measurement[Found]) -> Found | None:
        """A measurement, or None."""
        return self.measured.get(one)

    @property
    def n_layers(self) -> int:
        """L."""
        return self.traced.trace.n_layers

    @property
    def depth(self) -> int:
        """T of a model that decides."""
        assert self.transition.depth is not None
        return self.transition.depth

    @property
    def transition(self) -> Transition:
        return self.traced.main.transition

    @cached_property
    def depths(self) -> range:
        """Every T that has to give a verdict."""
        return deciding.depths(*self.decisions, self.traced.main.chance, self.everything)

    @property
    def collapse(self) -> Collapse:
        return self.path.collapse

    @property
    def collapse_step(self) -> int:
        """k* of a path that collapses."""
        assert self.collapse.step is not None
        return self.collapse.step

    @cached_property
    def few(self) -> str | None:
        """Why there are too few questions, in all or on the half reported on."""
        for trace in (self.traced.trace, self.path.traces[0]):
            if why := requirements.few(len(set(trace.groups)), len(trace.questions)):
                return why
        return None

    @cached_property
    def undecided(self) -> str | None:
        """Why there is no transition to speak of, and how many questions would settle whether there is."""
        if self.few or (why := requirements.no_transition(self.transition)) is None:
            return self.few
        margin, correct = self.decisions
        return f"{why} {deciding.enough(margin[-1], correct[-1], self.traced.main.chance, self.everything)}"

    @cached_property
    def short(self) -> str | None:
        """Why phases cannot be compared."""
        return self.undecided or requirements.short_phase(self.depth, self.n_layers)

    @cached_property
    def no_collapse(self) -> str | None:
        """Why there is no collapse to speak of."""
        gone = self.path.gone(len(self.path.steps) - 1)
        return self.few or requirements.no_collapse(self.collapse, gone, self.n_layers, self.path.limited)

    @cached_property
    def everything(self) -> Sampled:
        """Resamples of all questions."""
        return Sampled.of(self.traced.trace.groups, self.traced.subject.seed)

    @cached_property
    def report(self) -> Sampled:
        """Resamples of the half that took no part in a choice."""
        return Sampled.of(self.path.traces[0].groups, self.traced.subject.seed)

    def sampled(self, trace: Trace) -> Sampled:
        """Resamples of the questions of a measurement: all, or in older runs the half reported on."""
        return self.everything if len(trace.questions) == self.everything.n else self.report

    @cached_property
    def decisions(self) -> tuple[np.ndarray, np.ndarray]:
        """Decision margin and right answers of the dense model ``[depth, question]``."""
        return decisions(self.traced.trace)


def decisions(trace: Trace) -> tuple[np.ndarray, np.ndarray]:
    """Decision margin and right answers ``[depth, question]``."""
    margin = decision.margin(decision.probabilities(trace.scores, trace.mask), trace.mask, trace.gold)
    return margin, decision.correctness(trace.scores, trace.mask, trace.gold)


def margin_lost(found: InterventionResult[Any]) -> Losses:
    """Decision margin at the last depth that each intervention loses against the undisturbed model."""
    lost: np.ndarray = found.undisturbed[0] - found.decisions[0]
    return lost
