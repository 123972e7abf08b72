"""One-shot rankings: every block gets a score from the dense model once, and blocks go in that order."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from layercliff.pruning import calibration, criteria
from layercliff.pruning.brief import Brief
from layercliff.pruning.iterative import Iterative
from layercliff.pruning.step import Step
from layercliff.random_streams import RandomStream, generator

Ranking = Callable[[Brief], tuple[Mapping[int, float], int]]
"""Scores of all blocks, higher goes first, and the block passes they took."""

TAYLOR_TOKENS = 1280  # the paper's ten samples of 128


class Ranked:
    """Removes blocks in the order of a ranking made once, on the dense model."""

    def __init__(self, brief: Brief, ranking: Ranking) -> None:
        self.brief, self.ranking = brief, ranking
        self.passes, self.seconds = 0, 0.0
        self._scores: Mapping[int, float] | None = None

    def choose(self, before: Step) -> Step | None:
        """The step without the highest ranked block that is left."""
        if self._scores is None:
            begin = time.perf_counter()
            self._scores, self.passes = self.ranking(self.brief)
            self.seconds = time.perf_counter() - begin
        left = {b: self._scores[b] for b in before.kept if b not in self.brief.protected}
        if not left or len(before.kept) == 1:
            return None
        gone = criteria.best(list(left), np.array(list(left.values())))
        return Step(tuple(b for b in before.kept if b != gone), (gone,), left)


class Contiguous:
    """The n consecutive blocks between whose ends the decision token's state turns least, for n = 1, 2, ... (Gromov et al. 2024, eq. 7):
    d = arccos(cos(h_l, h_{l+n})) / pi, averaged over questions. Steps need not nest. Of equal ones the first goes."""

    def __init__(self, brief: Brief) -> None:
        self.brief = brief
        self.passes, self.seconds = 0, 0.0
        self._distance: np.ndarray | None = None

    def choose(self, before: Step) -> Step | None:
        """The best run of one block more than the step before has lost."""
        n_layers = self.brief.model.n_layers
        n = n_layers - len(before.kept) + 1
        if self._distance is None:
            begin = time.perf_counter()
            self._distance, self.passes = _angular(self.brief)
            self.seconds = time.perf_counter() - begin
        starts = [s for s in range(n_layers - n + 1) if not set(range(s, s + n)) & set(self.brief.protected)]
        if not starts or n >= n_layers:
            return None
        scores = {s: -float(self._distance[s, s + n]) for s in starts}
        start = max(starts, key=lambda s: (scores[s], -s))
        kept = tuple(b for b in range(n_layers) if not start <= b < start + n)
        return Step(kept, tuple(sorted(set(before.kept) - set(kept))), scores)


def tail(brief: Brief) -> tuple[Mapping[int, float], int]:
    """The last block first."""
    return {b: float(b) for b in range(brief.model.n_layers)}, 0


def head(brief: Brief) -> tuple[Mapping[int, float], int]:
    """The first block first."""
    return {b: -float(b) for b in range(brief.model.n_layers)}, 0


def random(brief: Brief, draw: int = 0, within: Sequence[int] | None = None) -> tuple[Mapping[int, float], int]:
    """A random order, by the seed and the number of the draw; blocks of `within` go before all others."""
    n_layers = brief.model.n_layers
    order = generator(RandomStream.RANDOM_PATH, brief.seed, draw).permutation(n_layers)
    first = set(range(n_layers) if within is None else within)
    return {b: float(order[b]) + (n_layers if b in first else 0) for b in range(n_layers)}, 0


@torch.inference_mode()
def block_influence(brief: Brief) -> tuple[Mapping[int, float], int]:
    """BI_b = 1 - mean over tokens of cos(h_b, h_{b+1}) (ShortGPT: Men et al. 2024, eq. 1), in float32, the last block's output taken before
    the final norm; the least goes first."""
    total = np.zeros(brief.model.n_layers)
    tokens = passes = 0
    for batch in calibration.batches_of(brief):
        mask = calibration.tokens(batch)
        states = (hidden[mask] for hidden in calibration.depths(brief, batch))
        before = next(states)
        for block, after in enumerate(states):
            total[block] += float((1 - torch.cosine_similarity(before, after, dim=-1)).double().sum())
            before = after
        tokens += int(mask.sum())
        passes += brief.model.n_layers
    return {block: -float(value) / tokens for block, value in enumerate(total)}, passes


def perplexity(brief: Brief) -> tuple[Mapping[int, float], int]:
    """The loss on text without each block, once (Shortened LLaMA: Kim et al. 2024, section 3.1); the least goes first."""
    chooser = Iterative(brief, brief.passages)
    step = chooser.choose(Step(tuple(range(brief.model.n_layers))))
    assert step is not None
    return {b: step.scores.get(b, -np.inf) for b in range(brief.model.n_layers)}, chooser.passes


def magnitude(brief: Brief) -> tuple[Mapping[int, float], int]:
    """The sum of |w| over a block's weights (Shortened LLaMA, after Li et al. 2017); the least goes first."""
    return {
        index: -sum(float(w.detach().double().abs().sum()) for w in _weights(block))
        for index, block in enumerate(brief.model.anatomy.blocks)
    }, 0


def taylor(brief: Brief) -> tuple[Mapping[int, float], int]:
    """The sum of |w dL/dw| over a block's weights, L the loss on text (Shortened LLaMA, after LeCun et al. 1989); the least goes first. The
    gradient is that of the first passages, taken from the tasks in turn, up to 1280 tokens in all (the paper: ten samples of 128)."""
    network, blocks = brief.model.network, brief.model.anatomy.blocks
    weights = [list(_weights(block)) for block in blocks]
    asked = {id(p): p.requires_grad for p in network.parameters()}
    seen = passes = 0
    try:
        for parameter in network.parameters():
            parameter.requires_grad_(False)
        for weight in (w for ws in weights for w in ws):
            weight.requires_grad_(True)
        for row in chain.from_iterable(zip_longest(*(rows for _, rows in brief.text))):
            if row is None:
                continue
            if seen >= TAYLOR_TOKENS:
                break
            with torch.enable_grad(), brief.model.anatomy.computing():
                ids = torch.tensor([row.tokens], device=brief.model.device)
                logits = network(input_ids=ids, use_cache=False).logits[0].float()
                targets = torch.tensor(row.targets, device=logits.device)
                torch.nn.functional.cross_entropy(logits, targets, reduction="sum").backward()  # type: ignore[no-untyped-call]
            seen += len(row.targets)
            passes += 3 * len(blocks)  # a backward pass costs two forward ones
        with torch.no_grad():
            scores = {
                b: -sum(float((w * w.grad).double().abs().sum()) for w in ws if w.grad is not None) / max(1, seen)
                for b, ws in enumerate(weights)
            }
    finally:
        for parameter in network.parameters():
            parameter.grad = None
            parameter.requires_grad_(asked[id(parameter)])
    return scores, passes


def _weights(block: torch.nn.Module) -> Iterator[torch.nn.Parameter]:
    """Projections and norms, without biases."""
    return (parameter for name, parameter in block.named_parameters() if name.endswith("weight"))


@torch.inference_mode()
def _angular(brief: Brief) -> tuple[Float[np.ndarray, "depth depth"], int]:
    """Mean angular distances between all depths of the position that decides."""
    n = brief.model.n_layers
    total, rows, passes = np.zeros((n + 1, n + 1)), 0, 0
    for batch in calibration.batches_of(brief):
        deciding = calibration.deciding(batch)
        states: list[Tensor] = [hidden[deciding] for hidden in calibration.depths(brief, batch)]
        unit = torch.nn.functional.normalize(torch.stack(states).double(), dim=-1)
        cosine = torch.einsum("lid,mid->lmi", unit, unit).clamp(-1, 1)
        total += (cosine.arccos() / torch.pi).sum(-1).numpy()
        rows += len(batch.rows)
        passes += n
    return total / rows, passes
