"""Uncertainty: one set of resamples for all depths, with whole groups drawn together."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t as student

from layercliff.random_streams import RandomStream, generator

RESAMPLES = 2000
TAIL = 0.025
"""The error of each end of an interval. (1 - 0.95) / 2 is more in floating point, and counts one resample too many."""
LEVEL = 1 - 2 * TAIL


@dataclass(frozen=True)
class Resamples:
    """A bootstrap over groups.

    Attributes:
        counts: [resample group] How often the group was drawn.
        index: [question] Number of the question's group.
    """

    counts: Float[np.ndarray, "resample group"]
    index: Int[np.ndarray, " question"]

    @staticmethod
    def draw(groups: Sequence[str], resamples: int = RESAMPLES, seed: int = 0) -> "Resamples":
        """Draw as many groups as there are, with replacement.

        Args:
            groups: [question] Names of groups.
            resamples: How often groups are drawn.
            seed: Decides the draws.

        Returns:
            The counts of every group.
        """
        _, index = np.unique(np.asarray(groups), return_inverse=True)
        return Resamples(_counts(int(index.max()) + 1, resamples, seed), index)

    @property
    def groups(self) -> int:
        """The number of groups."""
        return int(self.counts.shape[1])

    @property
    def independent(self) -> bool:
        """Whether every question is a group of its own."""
        return self.groups == len(self.index)

    def means(self, values: Float[np.ndarray, "row question"]) -> Float[np.ndarray, "resample row"]:
        """The mean over questions of every row, in every resample.

        Args:
            values: [row question] Anything.

        Returns:
            [resample row] Means.
        """
        sums = np.stack([np.bincount(self.index, row, self.groups) for row in values])
        sizes = np.bincount(self.index, minlength=self.groups)
        out: np.ndarray = (self.counts @ sums.T) / (self.counts @ sizes)[:, None]
        return out


@functools.lru_cache(maxsize=2)  # of a trace and of its report half
def _counts(groups: int, resamples: int, seed: int) -> Float[np.ndarray, "resample group"]:
    """How often each group is drawn in each resample. It cannot be written to."""
    rng = generator(RandomStream.BOOTSTRAP, seed)
    counts = rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(np.float64)
    counts.setflags(write=False)
    return counts


@dataclass(frozen=True)
class Curve:
    """A quantity per depth with its pointwise 95 % interval.

    Attributes:
        point: [depth] The estimate.
        low: [depth] Lower end.
        high: [depth] Upper end.
    """

    point: Float[np.ndarray, " depth"]
    low: Float[np.ndarray, " depth"]
    high: Float[np.ndarray, " depth"]


def order_statistic(
    samples: Float[np.ndarray, "resample *rest"], share: float | Float[np.ndarray, "*rest"]
) -> Float[np.ndarray, "*rest"]:
    """The sample that a share of all does not exceed: number ceil(share * n) by size, counted from 1.

    It is a value that occurred: depths stay whole numbers, and an infinite one (undecided) stays infinite.

    Args:
        samples: [resample *rest] Estimates.
        share: Of resamples, in [0, 1], for all or each [*rest].

    Returns:
        [*rest] Samples.
    """
    n = len(samples)
    rank = np.ceil(np.round(np.asarray(share) * n, 6)).clip(1, n).astype(int)  # rounded: 50.00000000000004 is 50
    at = np.broadcast_to(rank - 1, samples.shape[1:])[None]
    return np.asarray(np.take_along_axis(np.sort(samples, axis=0), at, axis=0)[0])


def percentile_interval(
    samples: Float[np.ndarray, "resample *rest"], tail: float = TAIL
) -> tuple[Float[np.ndarray, "*rest"], Float[np.ndarray, "*rest"]]:
    """The equal-tailed percentile interval (Efron 1979). Its ends are values that occurred.

    Args:
        samples: [resample *rest] Estimates.
        tail: Share of resamples that is cut off on either side.

    Returns:
        Lower and upper ends, each [*rest].
    """
    return order_statistic(samples, tail), order_statistic(samples, 1 - tail)


def whole_number(
    point: Float[np.ndarray, ""], samples: Float[np.ndarray, " resample"]
) -> tuple[int | None, float, float]:
    """A depth or a step, which may be infinite, with the percentile interval of its resamples.

    Args:
        point: The estimate.
        samples: [resample] The same in resamples.

    Returns:
        The number, None where it is infinite, and both ends.
    """
    low, high = percentile_interval(samples)
    return int(point) if np.isfinite(point) else None, float(low), float(high)


def stderr(values: Float[np.ndarray, " value"]) -> float:
    """The standard error of the mean of independent values.

    Args:
        values: [value] Anything.

    Returns:
        In the unit of `values`. nan for one value.
    """
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.nan


def clustered_stderr(values: Float[np.ndarray, " value"], group: Int[np.ndarray, " value"]) -> float:
    """The clustered standard error of Miller 2024, "Adding error bars to evals".

    To the square of that of independent values come, over n squared, the products of deviations within groups. With
    one question to a group both are equal.

    Args:
        values: [value] Anything.
        group: [value] Number of the value's group, from 0.

    Returns:
        In the unit of `values`. nan for one group.
    """
    deviations = values - values.mean()
    sums = np.bincount(group, deviations)
    if len(sums) < 2:
        return np.nan
    products = (sums**2).sum() - (deviations**2).sum()
    return float(np.sqrt(stderr(values) ** 2 + products / len(values) ** 2))


def clustered_interval(values: Float[np.ndarray, " value"], clusters: Sequence[str]) -> tuple[float, float]:
    """The t interval (`LEVEL`) of a mean over few clusters (Cameron and Miller 2015, section VI).

    It has one degree of freedom less than clusters, and a standard error enlarged for so few. A bootstrap of few
    clusters is too narrow.

    Args:
        values: [value] Anything.
        clusters: [value] Names of clusters.

    Returns:
        Lower and upper end, in the unit of `values`.
    """
    names, group = np.unique(np.asarray(clusters), return_inverse=True)
    n = len(names)
    half = student.ppf((1 + LEVEL) / 2, n - 1) * np.sqrt(n / (n - 1)) * clustered_stderr(values, group)
    return float(values.mean() - half), float(values.mean() + half)
