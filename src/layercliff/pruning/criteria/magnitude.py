"""Shortened LLaMA's magnitude: the block with the smallest weights goes first (Kim et al. 2024)."""

from collections.abc import Mapping

from layercliff.pruning.criterion import criterion
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.one_shot import SHORTENED_LLAMA, OneShotSelector, one_shot, weights


@one_shot("magnitude", about="|weight|", citation=SHORTENED_LLAMA, reads="nothing", cost="nothing")
def magnitude(given: CriterionInput) -> tuple[Mapping[int, float], int]:
    """Minus the sum of |w| over a block's weights (Kim et al. 2024, after Li et al. 2017)."""
    return {
        index: -sum(float(w.detach().double().abs().sum()) for w in weights(block))
        for index, block in enumerate(given.model.anatomy.blocks)
    }, 0


@criterion(
    "magnitude+",
    kind="one shot",
    about="magnitude, the ends protected",
    citation=SHORTENED_LLAMA,
    reads="nothing",
    cost="nothing",
)
def magnitude_ends_protected(given: CriterionInput) -> OneShotSelector:
    """The same, but for the first four and the last two blocks."""
    return OneShotSelector(given.ends_protected(), magnitude)
