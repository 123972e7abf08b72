"""Everything that a run directory holds about the paper's claims."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from layercliff.analyses.ablate.result import AblateSettings
from layercliff.analyses.controls.result import Controlled
from layercliff.analyses.intervention_result import InterventionResult
from layercliff.analyses.noise.result import NoiseSettings
from layercliff.analyses.patch.result import PatchSettings
from layercliff.analyses.recover.result import Recovered
from layercliff.analyses.similarity.result import Similar
from layercliff.analyses.trace.result import Traced
from layercliff.interventions.subsets import Subset
from layercliff.metrics import decision
from layercliff.metrics.collapse import Collapse
from layercliff.metrics.phases import Transition
from layercliff.paper_claims import deciding, requirements
from layercliff.paper_claims.intervals import Sampled
from layercliff.paper_claims.subsets.result import SubsetSettings, subsets
from layercliff.pruning.result import Pruned
from layercliff.readout.trace import Trace

Losses = Float[np.ndarray, "_ question"]
"""Decision margin that interventions lose, a row for each."""


@dataclass(frozen=True)
class Evidence:
    """Stored results of one model and task. None where a requirement is missing, so that it was not worth a run."""

    traced: Traced
    path: Pruned
    others: tuple[Pruned, ...] = ()
    noise: InterventionResult[NoiseSettings] | None = None
    ablated: InterventionResult[AblateSettings] | None = None
    subsets: InterventionResult[SubsetSettings] | None = None
    similar: Similar | None = None
    patched: InterventionResult[PatchSettings] | None = None
    controls: Controlled | None = None
    trained: Recovered | None = None

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

    @property
    def collapse(self) -> Collapse:
        return self.path.collapse

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

    @cached_property
    def decisions(self) -> tuple[np.ndarray, np.ndarray]:
        """Decision margin and right answers of the dense model ``[depth, question]``."""
        return decisions(self.traced.trace)

    @cached_property
    def removed(self) -> list[Subset]:
        """The sets of blocks that were removed. None where that was not run."""
        return [] if self.subsets is None else subsets(self.subsets)

    def right_without(self, kind: str) -> Float[np.ndarray, "subset question"]:
        """Right answers without each set of blocks of a kind."""
        assert self.subsets is not None
        right: np.ndarray = self.subsets.decisions[1][[subset.kind == kind for subset in self.removed]]
        return right


def decisions(trace: Trace) -> tuple[np.ndarray, np.ndarray]:
    """Decision margin and right answers ``[depth, question]``."""
    margin = decision.margin(decision.probabilities(trace.scores, trace.mask), trace.mask, trace.gold)
    return margin, decision.correctness(trace.scores, trace.mask, trace.gold)


def margin_lost(found: InterventionResult[Any]) -> Losses:
    """Decision margin at the last depth that each intervention loses against the undisturbed model."""
    lost: np.ndarray = found.undisturbed[0] - found.decisions[0]
    return lost
