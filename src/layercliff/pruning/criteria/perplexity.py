"""Shortened LLaMA's perplexity: the block without which text is lost least goes first (Kim et al. 2024)."""

from collections.abc import Mapping

import numpy as np

from layercliff.pruning.criterion import criterion
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.iterative import IterativeSelector
from layercliff.pruning.one_shot import SHORTENED_LLAMA, OneShotSelector, one_shot
from layercliff.pruning.step import Step


@one_shot(
    "perplexity", about="the loss on text without the block", citation=SHORTENED_LLAMA, reads="text", cost="sweep"
)
def perplexity(given: CriterionInput) -> tuple[Mapping[int, float], int]:
    """Minus the loss on text without each block of the dense model (Kim et al. 2024, section 3.1)."""
    selector = IterativeSelector(given, given.passages)
    step = selector.choose(Step(tuple(range(given.model.n_layers))))
    assert step is not None
    return {b: step.scores.get(b, -np.inf) for b in range(given.model.n_layers)}, selector.passes


@criterion(
    "perplexity+",
    kind="one shot",
    about="perplexity, the ends protected",
    citation=SHORTENED_LLAMA,
    reads="text",
    cost="sweep",
)
def perplexity_ends_protected(given: CriterionInput) -> OneShotSelector:
    """The same, but for the first four and the last two blocks."""
    return OneShotSelector(given.ends_protected(), perplexity)
