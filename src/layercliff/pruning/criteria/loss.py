"""SLEB: keep the loss on text lowest (Song et al. 2024)."""

from layercliff.pruning.criterion import criterion
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.iterative import IterativeSelector


@criterion(
    "loss",
    kind="iterative",
    about="keeps the loss on text lowest",
    citation="SLEB: Song et al. 2024, arXiv 2402.09025",
    raced=True,
    reads="text",
    cost="sweep per step",
)
def loss(given: CriterionInput) -> IterativeSelector:
    """Minus the mean loss per passage."""
    return IterativeSelector(given, given.passages)
