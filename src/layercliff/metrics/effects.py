"""Effects of interventions on the decision at the last depth, paired with the undisturbed run."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from layercliff.metrics import decision
from layercliff.metrics.decision import Gold, Mask
from layercliff.metrics.intervals import difference_curve, mean_curve, share_curve
from layercliff.metrics.statistics import Curve, Resamples

PerRun = Float[np.ndarray, "*run question"]


@dataclass(frozen=True)
class Effects:
    """Decision Margin and accuracy of runs, and their change against the undisturbed run. Rows are runs.

    Intervals are pointwise, at 95 %.

    Attributes:
        margin: Mean Decision Margin by run, in [-1, 1].
        accuracy: Share of right answers by run.
        margin_change: Margin minus that of the undisturbed run, paired.
        accuracy_change: Accuracy minus that of the undisturbed run, paired.
    """

    margin: Curve
    accuracy: Curve
    margin_change: Curve
    accuracy_change: Curve


def decisions(scores: Float[np.ndarray, "run question option"], mask: Mask, gold: Gold) -> tuple[PerRun, PerRun]:
    """Decision Margin and correctness of every run and question.

    Args:
        scores: [run question option] In nats.
        mask: [question option] Which options there are.
        gold: [question] Index of the right option.

    Returns:
        Margins and correctness, each [run question].
    """
    margin = decision.margin(decision.probabilities(scores, mask), mask, gold)
    return margin, decision.correctness(scores, mask, gold)


def effects(
    margin: Float[np.ndarray, "run question"],
    correct: Float[np.ndarray, "run question"],
    base_margin: Float[np.ndarray, " question"],
    base_correct: Float[np.ndarray, " question"],
    resamples: Resamples,
) -> Effects:
    """Pair runs with the undisturbed one, question by question.

    Args:
        margin: [run question] Decision Margins.
        correct: [run question] 1, 0, or the share of a tie.
        base_margin: [question] Margins of the undisturbed run.
        base_correct: [question] Correctness of the undisturbed run.
        resamples: Resamples of these questions.

    Returns:
        Means and changes by run.
    """
    return Effects(
        margin=mean_curve(margin, resamples),
        accuracy=share_curve(correct, resamples),
        margin_change=mean_curve(margin - base_margin, resamples),
        accuracy_change=difference_curve(correct - base_correct, resamples),
    )
