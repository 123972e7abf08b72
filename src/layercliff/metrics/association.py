"""The association of two quantities over models and tasks, clustered by model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float

from layercliff.metrics.perplexity import Estimate
from layercliff.metrics.statistics import RESAMPLES, Resamples, percentile_interval

LEAST_CLUSTERS = 3  # with fewer, resampling them says nothing, and intervals are nan
# clusters a verdict takes at least: that all of fewer lie on one side by chance is likelier than 1 in 20 (2 in 2**5
# of five)
SHOWN = 6
FEW_CLUSTERS = 10  # with fewer, intervals from resampling them are too narrow (Cameron, Gelbach and Miller 2008)

Points = Float[np.ndarray, " point"]
ResampleWeights = Float[np.ndarray, "resample point"]


@dataclass(frozen=True)
class Association:
    """Correlations of two quantities over points, with intervals over whole clusters.

    Intervals (95 %) are a bootstrap over clusters, nan with fewer than three. A correlation is None where a side does
    not vary.

    Attributes:
        points: Number of points.
        complete: Points whose T and k* are both known.
        complete_clusters: Clusters that hold these.
        clusters: Number of clusters, such as models.
        pairs: Pairs of points whose order is known.
        pearson: Pearson's r of the complete points.
        spearman: Spearman's rho of the complete points.
        kendall: Kendall's tau over the pairs. It leaves no point out.
    """

    points: int
    complete: int
    complete_clusters: int
    clusters: int
    pairs: int
    pearson: Estimate | None
    spearman: Estimate | None
    kendall: Estimate | None


def associate(
    x: Points,
    y: Points,
    censored: Bool[np.ndarray, " point"],
    clusters: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Association:
    """Associate `x` with `y` over models and tasks.

    Args:
        x: [point] First quantity. Infinite where it lies beyond all others.
        y: [point] Second quantity.
        censored: [point] Where `y` is only a lower bound.
        clusters: [point] What is resampled as a whole, such as the model.
        resamples: Number of resamples behind every interval.
        seed: Decides the resamples.

    Returns:
        The correlations, with intervals.
    """
    complete = np.isfinite(x) & ~censored
    comparable = _comparable(y, censored)
    names = np.asarray(clusters)
    draw = partial(Resamples.draw, resamples=resamples, seed=seed)
    a, b = x[complete], y[complete]
    return Association(
        len(x),
        int(complete.sum()),
        len(set(names[complete])),
        len(set(clusters)),
        int(comparable.sum()) // 2,
        _estimate(partial(pearson, a, b), names[complete], draw),
        _estimate(partial(spearman, a, b), names[complete], draw),
        _estimate(partial(kendall, x, y, censored), names, draw),
    )


def _estimate(
    measure: Callable[[ResampleWeights], Float[np.ndarray, " resample"]],
    clusters: np.ndarray,
    draw: Callable[[Sequence[str]], Resamples],
) -> Estimate | None:
    """A correlation of points in `clusters`, with the interval of resamples of whole clusters."""
    weights = np.ones((1, len(clusters)))
    point = float(measure(weights)[0]) if weights.size else np.nan
    if np.isnan(point):
        return None
    if len(set(clusters)) < LEAST_CLUSTERS:
        return Estimate(point, np.nan, np.nan)
    drawn = draw(clusters.tolist())
    samples = measure(drawn.counts[:, drawn.index])
    low, high = percentile_interval(samples[~np.isnan(samples)])
    return Estimate(point, float(low), float(high))


def pearson(x: Points, y: Points, weights: ResampleWeights) -> Float[np.ndarray, " resample"]:
    """Pearson's correlation under each row of weights.

    Args:
        x: [point] First quantity.
        y: [point] Second quantity.
        weights: [resample point] How often a point counts.

    Returns:
        [resample] In [-1, 1]. nan where a side does not vary.
    """
    wide = np.broadcast_to(x, weights.shape), np.broadcast_to(y, weights.shape)
    return _correlation(*wide, weights)


def spearman(x: Points, y: Points, weights: ResampleWeights) -> Float[np.ndarray, " resample"]:
    """Spearman's correlation: Pearson's of weighted ranks, with ties at their mean rank.

    Args:
        x: [point] First quantity.
        y: [point] Second quantity.
        weights: [resample point] How often a point counts.

    Returns:
        [resample] In [-1, 1]. nan where a side does not vary.
    """
    return _correlation(_ranks(x, weights), _ranks(y, weights), weights)


def kendall(
    x: Points, y: Points, censored: Bool[np.ndarray, " point"], weights: ResampleWeights
) -> Float[np.ndarray, " resample"]:
    """Kendall's tau over pairs of known order in `y` (Brown, Hollander and Korwar 1974).

    It is concordant minus discordant pairs, over all of them. Pairs tied in `x` count as neither.

    Args:
        x: [point] First quantity.
        y: [point] Second quantity.
        censored: [point] Where `y` is only a lower bound.
        weights: [resample point] How often a point counts.

    Returns:
        [resample] In [-1, 1]. nan where no order is known.
    """
    known = _comparable(y, censored)
    later = known & ((y[:, None] > y[None, :]) | (censored[:, None] & ~censored[None, :]))
    agree = np.where(known, np.where(later, 1.0, -1.0) * _sign(x), 0.0)
    pairs = np.einsum("ri,ij,rj->r", weights, known.astype(float), weights)
    total = np.einsum("ri,ij,rj->r", weights, agree, weights)
    out: np.ndarray = np.divide(total, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)
    return out


def _comparable(y: Points, censored: Bool[np.ndarray, " point"]) -> Bool[np.ndarray, "point point"]:
    """Whether the order of two values is known.

    Both are known and differ, or the known one is below the censored one.
    """
    both = ~censored[:, None] & ~censored[None, :] & (y[:, None] != y[None, :])
    one = ~censored[:, None] & censored[None, :] & (y[:, None] <= y[None, :])
    return np.asarray(both | one | one.T)


def _sign(x: Points) -> Float[np.ndarray, "point point"]:
    return np.where(x[:, None] > x[None, :], 1.0, np.where(x[:, None] < x[None, :], -1.0, 0.0))


def _ranks(x: Points, weights: ResampleWeights) -> Float[np.ndarray, "resample point"]:
    below, same = x[None, :] < x[:, None], x[None, :] == x[:, None]
    out: np.ndarray = weights @ below.T + (weights @ same.T + 1) / 2
    return out


def _correlation(
    x: Float[np.ndarray, "resample point"], y: Float[np.ndarray, "resample point"], weights: ResampleWeights
) -> Float[np.ndarray, " resample"]:
    share = weights / weights.sum(1, keepdims=True)
    x = x - (share * x).sum(1, keepdims=True)
    y = y - (share * y).sum(1, keepdims=True)
    spread = np.sqrt((share * x * x).sum(1) * (share * y * y).sum(1))
    out: np.ndarray = np.divide((share * x * y).sum(1), spread, out=np.full(len(weights), np.nan), where=spread > 1e-12)
    return out
