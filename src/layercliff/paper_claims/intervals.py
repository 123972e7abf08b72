"""Intervals of verdicts: wider than those of figures, so that all verdicts together keep to one error rate."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.stats import norm, skew
from scipy.stats import t as student

from layercliff.metrics.collapse import score_upper
from layercliff.metrics.statistics import Resamples
from layercliff.paper_claims.claim_files import CLAIM_FILES

FAMILY = 0.05  # the probability of any wrong verdict
CLAIMS = len(CLAIM_FILES)
TAIL = FAMILY / CLAIMS
"""The error of one claim (Bonferroni): wrongly supported if it is false, wrongly contradicted if it is true."""
RESAMPLES = 10_000
FEWEST = 50  # groups of questions: of fewer, the one in ten that changes most may be missing altogether
ROUNDING = 1e-9  # samples this near to the estimate (of their range) or to one another (of their size) are the same
MOST_ACCELERATION = 0.9  # beyond, a corrected bound is no bound any more

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
        """The percentile interval around `point`.

        It is expanded by what a t interval of so many groups is wider than a normal one (Hesterberg 2015, section
        5.3). Where the statistic `scales`, bias and skewness of the samples are `corrected` (BCa, Efron 1987). The
        acceleration is a sixth of the samples' skewness, as it is for a mean. A sample that is not a number counts as
        beyond either end.
        """
        groups = self.groups
        if groups < 2:
            return Interval(point, -np.inf, np.inf, scales)
        z = float(np.sqrt(groups / (groups - 1)) * student.ppf(self.tail, groups - 1))
        lower, upper = _corrected(point, samples, z) if scales and corrected and np.isfinite(samples).all() else (z, -z)
        low = np.quantile(np.where(np.isnan(samples), -np.inf, samples), norm.cdf(lower), method="inverted_cdf")
        high = np.quantile(np.where(np.isnan(samples), np.inf, samples), norm.cdf(upper), method="inverted_cdf")
        return Interval(point, float(low), float(high), scales)

    def mean(self, values: PerQuestion) -> Interval:
        """The mean over questions."""
        return self.interval(float(values.mean()), self.resamples.means(values[None])[:, 0])

    def ratio(self, above: PerQuestion, below: PerQuestion) -> Interval:
        """The ratio of two means over the same questions."""
        samples = self.resamples.means(np.stack([above, below]))
        return self.interval(float(above.mean() / below.mean()), samples[:, 0] / samples[:, 1])

    def loss(self, before: PerQuestion, after: PerQuestion) -> Interval:
        """The paired loss of accuracy, in the score interval of paired proportions (`score_upper`).

        Where questions come in groups, each end is the wider of this one and the bootstrap's.
        """
        difference, level = before - after, 1 - self.tail
        low, high = -score_upper(-difference, self.resamples, level), score_upper(difference, self.resamples, level)
        point = float(difference.mean())
        if self.resamples.independent:
            return Interval(point, low, high)
        found = self.mean(difference)
        return Interval(point, min(found.low, low), max(found.high, high))


def _corrected(point: float, samples: Float[np.ndarray, " resample"], z: float) -> tuple[float, float]:
    """The normal quantiles of the ends of a BCa interval, which without bias and skewness are `z` and ``-z``."""
    if np.ptp(samples) <= ROUNDING * np.abs(samples).max():
        return z, -z
    rounding = ROUNDING * np.ptp(samples)
    below = ((samples < point - rounding).mean() + (samples <= point + rounding).mean()) / 2
    bias = float(norm.ppf(np.clip(below, 1 / len(samples), 1 - 1 / len(samples))))
    acceleration = float(skew(samples)) / 6
    lower, upper = (bias + side / (1 - min(acceleration * side, MOST_ACCELERATION)) for side in (bias + z, bias - z))
    return lower, upper
