"""The share of all rises that falls in two neighbouring blocks, with bounds that hold wherever noise makes rises.

J is the rise of the two, r_b those of other blocks. The share exceeds s if (1 - s) J - s sum_A r_b > 0 for every set
A of other blocks. The blocks that truly rise are one of these sets. So the lower bound is the least s at which one of
these means is not shown to be above 0 (intersection-union, Berger 1982). No choice
of the blocks that rise is made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from layercliff.metrics.intervals import bca, expanded
from layercliff.paper_claims.intervals import Interval, Sampled

Rises = Float[np.ndarray, "block question"]
Sets = Float[np.ndarray, "set block"]
STEPS = 12  # halvings of [0, 1] when a bound of the share is looked for
LOOPS = 1000  # changes of a set, at most


@dataclass(frozen=True)
class Share:
    """Rises question by question, and the blocks around the jump as either half of the questions names them.

    Attributes:
        rises: Of the margin over each block.
        chosen: [question] Whether a question is of the first half.
        sampled: Resamples of all questions. Its `tail` is the error of each bound.
    """

    rises: Rises
    chosen: Bool[np.ndarray, " question"]
    sampled: Sampled

    @cached_property
    def named(self) -> tuple[list[int], list[int]]:
        """The blocks around the jump, by the first and by the second half."""
        first, second = (around(self.rises[:, half].mean(1)) for half in (self.chosen, ~self.chosen))
        return first, second

    @cached_property
    def jump(self) -> list[int]:
        """The blocks around the jump, by all questions."""
        return around(self.rises.mean(1))

    def interval(self) -> Interval:
        """The share in the blocks around the jump. Without a lower end where the halves do not name the same."""
        jump, others = self.rises[self.jump].mean(1).sum(), np.delete(self._rising[0], self.jump).sum()
        if jump + others <= 0:
            return Interval(np.nan, -np.inf, np.inf)
        point = float(jump / (jump + others))
        return Interval(point, min(self._low(), point), max(self._high(), point))

    @property
    def agree(self) -> bool:
        """Whether both halves name the same blocks."""
        first, second = map(sorted, self.named)
        return first == second

    def _low(self) -> float:
        return _crossing(self.exceeds, 0) if self.exceeds(0.0) else -np.inf

    def _high(self) -> float:
        return _crossing(lambda s: not self.stays_below(s), 1)

    def exceeds(self, s: float) -> bool:
        """Whether every set of other blocks leaves a mean that is shown to be above 0.

        Where resamples name several pairs of blocks, the one that is named may only happen to rise most. The error is
        divided among them.
        """
        return self.agree and self._worst.low(s) > 0

    def stays_below(self, s: float) -> bool:
        """Whether every single block, and every two neighbours, are shown not to reach `s`.

        Whichever of them hold the jump, it is one of them. A block of the rest counts where it rises on the half
        that the question is not of: any choice errs to the high side. Choosing adds to the spread, which is measured
        by choosing in each resample. The interval is as much wider.
        """
        (inside, point), (fixed, kept), (_, anew) = self._parted
        found, same = (1 - s) * inside - s * point, (1 - s) * fixed - s * kept
        wider = ((1 - s) * fixed - s * anew).std(0) / np.maximum(same.std(0), 1e-12)
        high = found + (_bca(found, same, self.sampled)[1] - found) * np.maximum(1.0, wider)
        return bool((high < 0).all())

    @cached_property
    def _worst(self) -> "Worst":
        named = {tuple(sorted(around(row))) for row in self._means}
        return Worst.of(self.rises, self.jump, self.sampled.shared(len(named)), self._means)

    @cached_property
    def _parted(self) -> list[tuple[Float[np.ndarray, "*_ set"], Float[np.ndarray, "*_ set"]]]:
        """What single blocks and neighbours rise, and what other blocks do (`_rising`)."""
        one = np.eye(len(self.rises))
        sets = np.concatenate([one, one[:-1] + one[1:]])
        inside = self.rises.mean(1) @ sets.T, self._means @ sets.T, self._means @ sets.T
        outside = (rising.sum(-1)[..., None] - rising @ sets.T for rising in self._rising)
        return list(zip(inside, outside, strict=True))

    @cached_property
    def _means(self) -> Float[np.ndarray, "resample block"]:
        return self.sampled.resamples.means(self.rises)

    @cached_property
    def _rising(self) -> tuple[Float[np.ndarray, "*_ block"], ...]:
        """What each block rises in all, counted where it rises on the half that a question is not of.

        The mean; in resamples with the choice of the sample; and with a choice in each resample.
        """
        halves = [np.where(half, self.rises, 0.0) for half in (self.chosen, ~self.chosen)]
        sums = [half.mean(1) for half in halves]
        drawn = [self.sampled.resamples.means(half) for half in halves]
        chosen = [(other > 0).astype(float) for other in reversed(sums)]
        fixed = sum(draw * own for draw, own in zip(drawn, chosen, strict=True))
        anew = sum(draw * (other > 0) for draw, other in zip(drawn, reversed(drawn), strict=True))
        return sum(total * own for total, own in zip(sums, chosen, strict=True)), fixed, anew


def around(rises: Float[np.ndarray, " block"]) -> list[int]:
    """The block of the largest rise and the greater of its neighbours."""
    block = int(rises.argmax())
    beside = [b for b in (block - 1, block + 1) if 0 <= b < len(rises)]
    return [block, max(beside, key=lambda b: float(rises[b]))] if beside else [block]


@dataclass(frozen=True)
class Worst:
    """The set of other blocks that lowers the bound of (1 - s) J - s sum_A r most.

    A mean less a multiple of its standard error is looked at, which needs means and products of blocks alone. The
    search changes one block at a time, from every set of the largest rises. What it ends at is bounded by `bca`.

    Attributes:
        means: [block] Mean rises.
        products: [block block] Of their errors.
        jump: The blocks around the jump.
        sampled: Resamples.
        resampled: [resample block] Mean rises in resamples.
    """

    means: Float[np.ndarray, " block"]
    products: Float[np.ndarray, "block block"]
    jump: list[int]
    sampled: Sampled
    resampled: Float[np.ndarray, "resample block"]

    @staticmethod
    def of(rises: Rises, jump: list[int], sampled: Sampled, resampled: Float[np.ndarray, "resample block"]) -> "Worst":
        """From rises question by question, and their means in resamples."""
        means, index = rises.mean(1), sampled.resamples.index
        errors = np.stack([np.bincount(index, row, sampled.groups) for row in rises - means[:, None]]) / len(index)
        return Worst(means, errors @ errors.T, jump, sampled, resampled)

    def low(self, s: float) -> float:
        """The lower bound of (1 - s) J - s sum_A r, at the worst of the sets A that the search ends at."""
        weights = self._weights(np.unique(self.sets(s), axis=0), s)
        return float(_bca(weights @ self.means, self.resampled @ weights.T, self.sampled)[0].min())

    def sets(self, s: float) -> Sets:
        """Sets that no change of one block makes worse, 1 where a block is in."""
        others = np.setdiff1d(np.arange(len(self.means)), self.jump)
        order = others[np.argsort(-self.means[others])]
        found = np.zeros((len(order) + 1, len(self.means)))
        for size in range(1, len(found)):
            found[size, order[:size]] = 1.0
        for _ in range(LOOPS):
            change = 1 - 2 * found
            weights = self._weights(found, s)
            lean = weights @ self.products
            spread = (lean * weights).sum(1, keepdims=True)
            varied = spread - 2 * s * change * lean + s * s * np.diag(self.products)
            z = abs(expanded(self.sampled.groups, self.sampled.tail))
            gain = s * change * self.means + z * (np.sqrt(varied.clip(0)) - np.sqrt(spread.clip(0)))
            gain[:, self.jump] = -np.inf
            best = gain.argmax(1)
            rows = np.flatnonzero(gain.max(1) > 1e-12)
            if not len(rows):
                break
            found[rows, best[rows]] = 1 - found[rows, best[rows]]
        return found

    def _weights(self, sets: Sets, s: float) -> Sets:
        weights = -s * sets
        weights[:, self.jump] = 1 - s
        return weights


def _bca(
    points: Float[np.ndarray, " row"], samples: Float[np.ndarray, "resample row"], sampled: Sampled
) -> tuple[Float[np.ndarray, " row"], Float[np.ndarray, " row"]]:
    return bca(points, samples, sampled.groups, sampled.tail)


def _crossing(above: Callable[[float], bool], side: int) -> float:
    """The share from 0 to 1 up to which something lies above, rounded to the safe `side` (0: down, 1: up)."""
    ends = [0.0, 1.0]
    for _ in range(STEPS):
        middle = sum(ends) / 2
        ends[0 if above(middle) else 1] = middle
    return ends[side]
