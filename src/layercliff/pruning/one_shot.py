"""One-shot criteria: every block gets a score from the dense model once, and blocks go in that order."""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import torch

from layercliff.pruning import candidates
from layercliff.pruning.criterion import PassCost, Reads, criterion
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.step import Step

SHORTENED_LLAMA = "Shortened LLaMA: Kim et al. 2024, arXiv 2402.02834"

Ranking = Callable[[CriterionInput], tuple[Mapping[int, float], int]]
"""The scores of all blocks by dense index, and the block passes they took. The highest goes first."""


class OneShotSelector:
    """Removes blocks in the order of a ranking made once, on the dense model."""

    def __init__(self, given: CriterionInput, ranking: Ranking) -> None:
        self.given, self.ranking = given, ranking
        self.passes, self.seconds = 0, 0.0
        self._scores: Mapping[int, float] | None = None

    def choose(self, before: Step) -> Step | None:
        """The step without the highest ranked block that is left."""
        if self._scores is None:
            begin = time.perf_counter()
            self._scores, self.passes = self.ranking(self.given)
            self.seconds = time.perf_counter() - begin
        left = {b: self._scores[b] for b in before.kept if b not in self.given.protected}
        if not left or len(before.kept) == 1:
            return None
        gone = candidates.best(list(left), np.array(list(left.values())))
        return Step(tuple(b for b in before.kept if b != gone), (gone,), left)


def one_shot(
    name: str, *, about: str, citation: str, reads: Reads = "questions", cost: PassCost = "unknown"
) -> Callable[[Ranking], Ranking]:
    """Register the decorated `Ranking` as a one-shot criterion. The arguments are those of `criterion`."""

    return partial(_register, criterion(name, kind="one shot", about=about, citation=citation, reads=reads, cost=cost))


def _register(register: Callable[..., object], ranking: Ranking) -> Ranking:
    register(partial(OneShotSelector, ranking=ranking))
    return ranking


def weights(block: torch.nn.Module) -> Iterator[torch.nn.Parameter]:
    """A block's projections and norms, without biases."""
    return (parameter for name, parameter in block.named_parameters() if name.endswith("weight"))
