"""Baselines that look at nothing: from the last block down, from the first up, and in random orders."""

from collections.abc import Mapping

from layercliff.pruning.criterion import criterion
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.one_shot import OneShotSelector
from layercliff.random_streams import RandomStream, generator


@criterion(
    "tail", kind="fixed order", about="the last block first", citation="baseline", reads="nothing", cost="nothing"
)
def tail(given: CriterionInput) -> OneShotSelector:
    """The last block first."""
    return OneShotSelector(given, lambda _: ({block: float(block) for block in range(given.model.n_layers)}, 0))


@criterion(
    "head", kind="fixed order", about="the first block first", citation="baseline", reads="nothing", cost="nothing"
)
def head(given: CriterionInput) -> OneShotSelector:
    """The first block first."""
    return OneShotSelector(given, lambda _: ({block: -float(block) for block in range(given.model.n_layers)}, 0))


@criterion(
    "random", kind="random order", about="seeded, many draws", citation="baseline", reads="nothing", cost="nothing"
)
def random(given: CriterionInput) -> OneShotSelector:
    """An order drawn by the seed and the number of the draw."""
    return OneShotSelector(given, random_order)


def random_order(given: CriterionInput) -> tuple[Mapping[int, float], int]:
    """The rank of every block in a random order. Blocks of `CriterionInput.within` go before all others."""
    n_layers = given.model.n_layers
    order = generator(RandomStream.RANDOM_PATH, given.seed, given.draw).permutation(n_layers)
    first = set(range(n_layers) if given.within is None else given.within)
    return {b: float(order[b]) + (n_layers if b in first else 0) for b in range(n_layers)}, 0
