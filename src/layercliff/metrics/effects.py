"""Effects of interventions on the decision at the last depth, paired with the undisturbed run."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from layercliff.metrics import decision
from layercliff.metrics.decision import Gold, Mask
from layercliff.metrics.statistics import Curve, Resamples, curve

PerRun = Float[np.ndarray, "*run question"]


@dataclass(frozen=True)
class Effects:
    """Decision Margin and accuracy of runs, and their change against the undisturbed run. Rows are runs.

    Intervals are pointwise, at 95 %, from the same resamples.
    """

    margin: Curve
    accuracy: Curve
    margin_change: Curve
    accuracy_change: Curve


def decisions(scores: Float[np.ndarray, "run question option"], mask: Mask, gold: Gold) -> tuple[PerRun, PerRun]:
    """Decision Margin and correctness of every run and question."""
    margin = decision.margin(decision.probabilities(scores, mask), mask, gold)
    return margin, decision.correctness(scores, mask, gold)


def effects(
    margin: Float[np.ndarray, "run question"],
    correct: Float[np.ndarray, "run question"],
    base_margin: Float[np.ndarray, " question"],
    base_correct: Float[np.ndarray, " question"],
    resamples: Resamples,
) -> Effects:
    """The effects of runs, paired question by question with the undisturbed run."""
    found = [
        curve(values.mean(1), resamples.means(values))
        for values in (margin, correct, margin - base_margin, correct - base_correct)
    ]
    return Effects(*found)
