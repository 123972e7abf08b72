"""Intervals of shares, of paired differences of shares and of means: the same for figures and for verdicts."""

from math import sqrt

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.stats import norm
from scipy.stats import t as student

from layercliff.metrics.statistics import LEVEL, TAIL, Curve, Resamples, order_statistic

ROUNDING = 1e-9  # samples this near to the estimate (of their range) or to one another (of their size) are the same
MOST_ACCELERATION = 0.9  # beyond, a corrected bound is no bound any more

Rows = Float[np.ndarray, "row question"]
Ends = tuple[Float[np.ndarray, "*rest"], Float[np.ndarray, "*rest"]]


def share_curve(correct: Rows, resamples: Resamples, tail: float = TAIL) -> Curve:
    """The share of right answers in each row, with the score interval of Wilson (1927).

    Questions count as many as `effective_questions` says. For grouped ones the normal quantile is that of `expanded`.

    Args:
        correct: [row question] 1, 0, or the share of a tie.
        resamples: Resamples of these questions.
        tail: Error of each end.

    Returns:
        Shares by row, with intervals.
    """
    point = np.asarray(correct.mean(1))
    n = np.array([effective_questions(row, resamples) for row in correct])
    return Curve(point, *wilson(point, n, share_quantile(resamples, tail)))


def share_quantile(resamples: Resamples, tail: float = TAIL) -> float:
    """The quantile by which a share's interval is made: normal, or as of so many groups.

    Args:
        resamples: Resamples of these questions.
        tail: Error of each end.

    Returns:
        A number below 0.
    """
    return float(norm.ppf(tail)) if resamples.independent else expanded(resamples.groups, tail)


def effective_questions(correct: Float[np.ndarray, " question"], resamples: Resamples) -> float:
    """How many independent questions with plain answers, right or wrong, would tell as much of the share.

    Groups make them fewer (`design_effect`). Ties and means over draws make them more: they vary less.

    Args:
        correct: [question] 1, 0, or the share of a tie.
        resamples: Resamples of these questions.

    Returns:
        A number of questions.
    """
    share = np.asarray(correct.mean())
    together, apart, sizes = _squares(correct - share, resamples)
    return float(len(correct) / inflation(together, apart, sizes, share))


def inflation(
    together: Float[np.ndarray, "*rest"],
    apart: Float[np.ndarray, "*rest"],
    sizes: Float[np.ndarray, " group"],
    share: Float[np.ndarray, "*rest"],
) -> Float[np.ndarray, "*rest"]:
    """The variance of a share over that of a binomial one.

    One more question with the greatest deviation keeps it from 0.

    Args:
        together: Deviations from the share, summed in groups and squared.
        apart: Deviations of single questions, squared.
        sizes: [group] Questions.
        share: The share.

    Returns:
        A factor above 0.
    """
    spread = (apart + 1) / (sizes.sum() * share * (1 - share) + 1)
    return np.asarray(_grouping(together, apart, sizes) * spread)


def _grouping(
    together: Float[np.ndarray, "*rest"], apart: Float[np.ndarray, "*rest"], sizes: Float[np.ndarray, " group"]
) -> Float[np.ndarray, "*rest"]:
    usual = float((sizes**2).sum() / sizes.sum())
    return np.asarray(np.maximum(1.0, (together + usual**2) / (apart + usual)))


def _squares(
    deviation: Float[np.ndarray, " question"], resamples: Resamples
) -> tuple[Float[np.ndarray, ""], Float[np.ndarray, ""], Float[np.ndarray, " group"]]:
    """Deviations squared over groups, and over questions; and the sizes of groups."""
    together = (np.bincount(resamples.index, deviation) ** 2).sum()
    sizes = np.bincount(resamples.index).astype(np.float64)
    return np.asarray(together), np.asarray((deviation**2).sum()), sizes


def wilson(share: Float[np.ndarray, "*rest"], n: Float[np.ndarray, "*rest"], z: float) -> Ends:
    """The score interval of a share (Wilson 1927).

    Args:
        share: Share of right answers.
        n: Independent questions.
        z: Quantile of one end. All of 0 to 1 is the interval where it is infinite.

    Returns:
        Both ends.
    """
    if not np.isfinite(z):
        return np.zeros_like(share), np.ones_like(share)
    scale = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = abs(z) * np.sqrt((share * (1 - share) / n).clip(0) + z * z / (4 * n * n)) / scale
    return (centre - half).clip(0, share), (centre + half).clip(share, 1)


def mean_curve(values: Rows, resamples: Resamples, tail: float = TAIL) -> Curve:
    """The mean of each row, with the interval of `bca`.

    Args:
        values: [row question] Margins, or anything else.
        resamples: Resamples of these questions.
        tail: Error of each end.

    Returns:
        Means by row, with intervals.
    """
    point = np.asarray(values.mean(1))
    return Curve(point, *bca(point, resamples.means(values), resamples.groups, tail))


def difference_curve(differences: Rows, resamples: Resamples, tail: float = TAIL) -> Curve:
    """The mean of each row of paired differences of answers, with its `difference_interval`.

    Args:
        differences: [row question] In [-1, 1].
        resamples: Resamples of these questions.
        tail: Error of each end.

    Returns:
        Means by row, with intervals.
    """
    ends = [difference_interval(row, resamples, tail) for row in differences]
    return Curve(np.asarray(differences.mean(1)), np.array([low for low, _ in ends]), np.array([up for _, up in ends]))


def difference_interval(
    difference: Float[np.ndarray, " question"], resamples: Resamples, tail: float = TAIL
) -> tuple[float, float]:
    """The interval of a paired loss of accuracy: the score interval of paired proportions (`score_upper`).

    Where questions come in groups, each end is the wider of this one and that of `bca`.

    Args:
        difference: [question] Loss, in [-1, 1].
        resamples: Resamples of these questions.
        tail: Error of each end.

    Returns:
        Both ends.
    """
    low, high = (-score_upper(-difference, resamples, 1 - tail), score_upper(difference, resamples, 1 - tail))
    if resamples.independent:
        return low, high
    found = mean_curve(difference[None], resamples, tail)
    return min(float(found.low[0]), low), max(float(found.high[0]), high)


def bca(
    point: Float[np.ndarray, "*rest"],
    samples: Float[np.ndarray, "resample *rest"],
    groups: int,
    tail: float = TAIL,
    corrected: bool = True,
) -> Ends:
    """The percentile interval of a mean or of a smooth function of means.

    It is as much wider as `expanded` says. Bias and skewness of the samples are corrected (BCa, Efron 1987). The
    acceleration is a sixth of the samples' skewness, as it is for a mean. A sample that is not a number counts as
    beyond either end.

    Args:
        point: The estimate.
        samples: [resample ...] The same in resamples.
        groups: Groups that were resampled. Of a single one nothing is known.
        tail: Error of each end.
        corrected: Whether bias and skewness are.

    Returns:
        Both ends. Infinite where nothing is known.
    """
    if groups < 2:
        return np.full_like(point, -np.inf), np.full_like(point, np.inf)
    z = expanded(groups, tail)
    lower, upper = np.full(np.shape(point), z), np.full(np.shape(point), -z)
    vary = np.asarray(np.isfinite(samples).all(0))
    vary[vary] = np.ptp(samples[:, vary], axis=0) > ROUNDING * np.abs(samples[:, vary]).max(0)
    if corrected and vary.any():
        lower[vary], upper[vary] = _corrected(np.asarray(point)[vary], samples[:, vary], z)
    low = order_statistic(np.where(np.isnan(samples), -np.inf, samples), norm.cdf(lower))
    return low, order_statistic(np.where(np.isnan(samples), np.inf, samples), norm.cdf(upper))


def expanded(groups: int, tail: float) -> float:
    """The quantile of a t interval, for a bootstrap of groups (Hesterberg 2015, section 5.3).

    Args:
        groups: Groups that were resampled.
        tail: Error of each end.

    Returns:
        A number below 0.
    """
    return sqrt(groups / (groups - 1)) * float(student.ppf(tail, groups - 1)) if groups > 1 else -np.inf


def _corrected(point: Float[np.ndarray, " row"], samples: Float[np.ndarray, "resample row"], z: float) -> Ends:
    """The normal quantiles of the ends of a BCa interval, which without bias and skewness are `z` and ``-z``."""
    span = np.ptp(samples, axis=0)
    rounding = ROUNDING * span
    below = ((samples < point - rounding).mean(0) + (samples <= point + rounding).mean(0)) / 2
    bias = norm.ppf(below.clip(1 / len(samples), 1 - 1 / len(samples)))
    deviation = (samples - samples.mean(0)) / span
    acceleration = (deviation**3).mean(0) / (deviation**2).mean(0) ** 1.5 / 6
    lower, upper = (
        bias + side / (1 - (acceleration * side).clip(max=MOST_ACCELERATION)) for side in (bias + z, bias - z)
    )
    return lower, upper


def tango_upper(lost: int | float, won: int | float, n: int | float, level: float = LEVEL) -> float:
    """The upper bound of a loss of paired proportions, by the score interval (Tango 1998).

    Args:
        lost: Questions that only the first model gets right.
        won: Questions that only the second gets right.
        n: Number of questions.
        level: Confidence, one-sided.

    Returns:
        A bound for the loss (lost - won) / n, at most 1.
    """
    z, edge = norm.ppf(level), 1 - 1e-9
    if _score(edge, lost, won, n) > -z:
        return 1.0
    return float(brentq(lambda delta: _score(delta, lost, won, n) + z, (lost - won) / n, edge))


def score_upper(
    difference: Float[np.ndarray, " question"], resamples: Resamples, level: float = LEVEL, times: float = 1.0
) -> float:
    """The upper bound of a mean paired loss (`tango_upper`).

    Tied options count as shares. For grouped questions, counts are divided by their design effect (Rao and Scott
    1992).

    Args:
        difference: [question] Loss, in [-1, 1].
        resamples: They say which questions belong together.
        level: Confidence, one-sided.
        times: As if so many times as many questions were answered alike.

    Returns:
        A bound, at most 1.
    """
    each = times / design_effect(difference, resamples)
    lost, won = float(difference.clip(0).sum()), float((-difference).clip(0).sum())
    return tango_upper(lost * each, won * each, len(difference) * each, level)


def design_effect(difference: Float[np.ndarray, " question"], resamples: Resamples) -> float:
    """The variance of grouped questions over that of independent ones.

    It is the squared sums of groups over summed squares. One more group of average size is counted as all lost: where
    nothing is lost, nothing is known of the groups, and a group counts as one question.

    Args:
        difference: [question] Loss, in [-1, 1].
        resamples: They say which questions belong together.

    Returns:
        At least 1, which is that of independent questions.
    """
    return float(_grouping(*_squares(difference, resamples)))


def _score(delta: float, lost: int | float, won: int | float, n: int | float) -> float:
    """The score statistic for a true loss `delta`, at the restricted maximum likelihood of the nuisance discordance."""
    a, b, c = 2 * n, delta * (2 * n - lost + won) - lost - won, -won * delta * (1 - delta)
    q = (sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * (2 * q + delta * (1 - delta))
    return float((lost - won - n * delta) / sqrt(max(variance, 1e-300)))
