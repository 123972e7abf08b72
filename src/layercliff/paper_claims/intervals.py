"""Intervals of verdicts: wider than those of figures, so that all verdicts together keep to one error rate."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from layercliff.metrics.intervals import bca, difference_interval, share_curve
from layercliff.metrics.statistics import Resamples
from layercliff.paper_claims.claim_files import CLAIM_FILES

FAMILY = 0.05  # the probability of any wrong verdict
CLAIMS = len(CLAIM_FILES)
TAIL = FAMILY / CLAIMS
"""The error of one claim (Bonferroni): wrongly supported if it is false, wrongly contradicted if it is true."""
RESAMPLES = 10_000
FEWEST = 50  # groups of questions: of fewer, the one in ten that changes most may be missing altogether

PerQuestion = Float[np.ndarray, " question"]


@dataclass(frozen=True)
class Interval:
    """An estimate between two bounds, each of which fails with the probability of a tail.

    Where it `scales`, its width shrinks with the root of the number of questions.
    """

    point: float
    low: float
    high: float
    scales: bool = True


@dataclass(frozen=True)
class Sampled:
    """Questions in groups, resampled together, and the probability `tail` with which each bound may fail."""

    resamples: Resamples
    tail: float

    @staticmethod
    def of(groups: Sequence[str], seed: int = 0, tail: float = TAIL, resamples: int = RESAMPLES) -> "Sampled":
        """Draw the resamples."""
        return Sampled(Resamples.draw(groups, resamples, seed), tail)

    @property
    def n(self) -> int:
        """Questions."""
        return len(self.resamples.index)

    @property
    def groups(self) -> int:
        """Groups of questions."""
        return self.resamples.groups

    def shared(self, parts: int) -> "Sampled":
        """The same where a claim has several parts, among which its error is divided."""
        return replace(self, tail=self.tail / parts)

    def interval(
        self, point: float, samples: Float[np.ndarray, " resample"], *, scales: bool = True, corrected: bool = True
    ) -> Interval:
        """The percentile interval (`bca`) around `point`, `corrected` where the statistic `scales`."""
        low, high = bca(np.asarray(point), samples, self.groups, self.tail, scales and corrected)
        return Interval(point, float(low), float(high), scales)

    def mean(self, values: PerQuestion) -> Interval:
        """The mean over questions."""
        return self.interval(float(values.mean()), self.resamples.means(values[None])[:, 0])

    def ratio(self, above: PerQuestion, below: PerQuestion) -> Interval:
        """The ratio of two means over the same questions."""
        samples = self.resamples.means(np.stack([above, below]))
        return self.interval(float(above.mean() / below.mean()), samples[:, 0] / samples[:, 1])

    def share(self, correct: PerQuestion, less: float = 0.0) -> Interval:
        """The share of right answers, less a constant."""
        found = share_curve(correct[None], self.resamples, self.tail)
        return Interval(float(found.point[0]) - less, float(found.low[0]) - less, float(found.high[0]) - less)

    def loss(self, before: PerQuestion, after: PerQuestion) -> Interval:
        """The paired loss of accuracy (`difference_interval`)."""
        difference = before - after
        return Interval(float(difference.mean()), *difference_interval(difference, self.resamples, self.tail))
