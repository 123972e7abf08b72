"""Keep what the model answers: its Decision Margin, its accuracy or its gold log-probability (Shi et al. 2026)."""

import numpy as np

from layercliff.metrics import decision
from layercliff.metrics.decision import Gold, Mask
from layercliff.pruning.criterion import criterion
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.iterative import IterativeSelector
from layercliff.pruning.objective import OptionScores, TaskObjective, Values

SHI = "Shi et al. 2026, arXiv 2605.07271"


def decision_margin(scores: OptionScores, mask: Mask, gold: Gold) -> Values:
    """The Decision Margin of the last depth: the gold option's probability minus the best other one's."""
    return decision.margin(decision.probabilities(scores, mask), mask, gold)


def gold_log_probability(scores: OptionScores, mask: Mask, gold: Gold) -> Values:
    """log p of the gold option among the question's options."""
    wide = np.where(mask, scores.astype(np.float64), -np.inf)
    top = wide.max(-1)
    log_total = top + np.log(np.exp(wide - top[..., None]).sum(-1))
    return np.asarray(np.take_along_axis(wide, gold[None, :, None], 2)[..., 0] - log_total)


@criterion(
    "margin",
    kind="iterative",
    about="keeps the Decision Margin highest",
    citation=SHI,
    raced=True,
    cost="sweep per step",
)
def margin(given: CriterionInput) -> IterativeSelector:
    """The paper's criterion."""
    return IterativeSelector(given, [TaskObjective(part, decision_margin) for part in given.asked])


@criterion(
    "accuracy", kind="iterative", about="keeps accuracy highest", citation=SHI, raced=True, cost="sweep per step"
)
def accuracy(given: CriterionInput) -> IterativeSelector:
    """The share of right answers."""
    return IterativeSelector(given, [TaskObjective(part, decision.correctness) for part in given.asked])


@criterion(
    "option_nll",
    kind="iterative",
    about="keeps the gold option's log-probability highest",
    citation=SHI,
    raced=True,
    cost="sweep per step",
)
def option_nll(given: CriterionInput) -> IterativeSelector:
    """The mean log-probability of the gold option among the options."""
    return IterativeSelector(given, [TaskObjective(part, gold_log_probability) for part in given.asked])
