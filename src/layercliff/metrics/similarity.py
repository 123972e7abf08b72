"""Linear CKA (Kornblith et al. 2019) with the unbiased HSIC of Song et al. 2012, in float64.

The usual, biased estimator gives about d / (n + d) for pure noise, the unbiased one about 0. Its sums run over pairs
of different samples, so that a sample must not occur twice. Intervals therefore come from subsamples drawn without
replacement.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from layercliff.errors import LayercliffError
from layercliff.metrics.statistics import percentile_interval
from layercliff.random_streams import RandomStream, generator

Features = Float[np.ndarray, "n _"]
"""Samples by features. Sets that are compared have the same samples and any number of features."""

FEWEST = 4  # samples: below, the unbiased HSIC is not defined
BATCH = 512  # samples whose Gram matrices are held together
SUBSAMPLES = 200
SHUFFLES = 20
SAME = 1e-6  # of a feature's size: a smaller spread is rounding


@dataclass(frozen=True)
class Similarities:
    """CKA of every pair of `k` sets of features.

    Attributes:
        point: [k k] The estimate, about 0 for unrelated sets and 1 for equal ones.
        samples: [subsample k k] From subsamples of half of the groups (nan where too few). Their spread is that of the
            estimate itself: sampling m of n without replacement leaves the variance s2 (1/m - 1/n) (Politis, Romano and
            Wolf 1999).
        shuffled: [shuffle k k] With the samples of the second set in another order.
    """

    point: Float[np.ndarray, "k k"]
    samples: Float[np.ndarray, "subsample k k"]
    shuffled: Float[np.ndarray, "shuffle k k"]

    def interval(self) -> tuple[Float[np.ndarray, "k k"], Float[np.ndarray, "k k"]]:
        """Pointwise 95 % intervals.

        Returns:
            Lower and upper ends, each [k k].
        """
        return percentile_interval(self.samples)


def usual(mask: Bool[np.ndarray, "question option"]) -> Int[np.ndarray, " some"]:
    """The questions with the most common number of options, whose scores can be compared.

    Args:
        mask: [question option] Which options there are.

    Returns:
        Indices of questions.
    """
    sizes = mask.sum(1)
    return np.flatnonzero(sizes == np.bincount(sizes).argmax())


def constant(features: Float[np.ndarray, "n d"]) -> Bool[np.ndarray, " d"]:
    """Say which features are equal in all samples.

    Args:
        features: [n d] Samples by features.

    Returns:
        [d] True where one is.
    """
    return np.asarray(np.ptp(features, axis=0) <= SAME * np.abs(features).max(0))


def prepared(features: Features, name: str, standardised: bool = False) -> Features:
    """Centre features in float64.

    Args:
        features: [n d] Samples by features.
        name: What an error calls them.
        standardised: Also scale them to a standard deviation of 1.

    Returns:
        [n d] Features.

    Raises:
        LayercliffError: For fewer than 4 samples, and where all features are constant. If `standardised`, where any is.
    """
    if len(features) < FEWEST:
        raise LayercliffError(f"{name} has {len(features)} samples: the unbiased HSIC needs {FEWEST} at least.")
    flat = constant(features)
    if flat.all() or (standardised and flat.any()):
        which = "every feature" if flat.all() else f"feature {int(flat.argmax())} (of {int(flat.sum())} such)"
        raise LayercliffError(
            f"{name} is constant in {which} over all {len(features)} samples: there is nothing to compare."
        )
    wide = features.astype(np.float64)
    wide = wide - wide.mean(0)
    out: np.ndarray = wide / wide.std(0) if standardised else wide
    return out


def u_centred(grams: Float[np.ndarray, "k n n"]) -> Float[np.ndarray, "k n n"]:
    """Give Gram matrices a zero diagonal, U-centred (Szekely and Rizzo 2014, definition 2).

    The mean product of two of them is the unbiased HSIC, equal to Song et al. 2012, eq. 5.

    Args:
        grams: [k n n] Products of samples.

    Returns:
        [k n n] Matrices whose rows sum to 0.
    """
    n = grams.shape[1]
    out = grams.copy()
    index = np.arange(n)
    out[:, index, index] = 0
    rows = out.sum(2) / (n - 2)
    out += (rows.sum(1) / (n - 1))[:, None, None] - rows[:, :, None] - rows[:, None, :]
    out[:, index, index] = 0
    return out


def hsic(first: Float[np.ndarray, "k n n"], second: Float[np.ndarray, "m n n"]) -> Float[np.ndarray, "k m"]:
    """The unbiased HSIC of every pair from two lists of `u_centred` matrices.

    Args:
        first: [k n n] One list.
        second: [m n n] The other.

    Returns:
        [k m] HSIC.
    """
    n = first.shape[1]
    out: np.ndarray = first.reshape(len(first), -1) @ second.reshape(len(second), -1).T / (n * (n - 3))
    return out


def similarities(
    features: Sequence[Features],
    groups: Sequence[str],
    seed: int = 0,
    subsamples: int = SUBSAMPLES,
    shuffles: int = SHUFFLES,
) -> Similarities:
    """CKA of every pair of `prepared` sets of features.

    Many samples are split into batches of whole groups. HSIC is averaged over batches before the division (Nguyen et
    al. 2021, eq. 3). A subsample holds half of the groups of every batch.

    Args:
        features: [n d] for each of k sets, which may differ in d.
        groups: [n] Which samples belong together.
        seed: Decides batches, subsamples and orders.
        subsamples: How many are drawn.
        shuffles: How many orders are drawn.

    Returns:
        [k k] CKA, with subsamples and shuffled pairs.
    """
    rng = generator(RandomStream.CKA, seed)
    k = len(features)
    point = np.zeros((k, k))
    samples, cross = np.zeros((subsamples, k, k)), np.zeros((shuffles, k, k))
    for batch in _batches(groups, rng):
        grams = np.stack([f[batch] @ f[batch].T for f in features])
        whole = u_centred(grams)
        point += hsic(whole, whole)
        ordered = _above(whole, np.arange(len(batch)))
        for number in range(shuffles):
            other = _above(whole, rng.permutation(len(batch)))
            cross[number] += 2 * (ordered @ other.T) / (len(batch) * (len(batch) - 3))
        samples += _of_halves(grams, np.asarray(groups)[batch], subsamples, rng)
    return Similarities(_ratio(point, point), _ratio(samples, samples), _ratio(cross, point))


def _of_halves(
    grams: Float[np.ndarray, "k n n"], groups: np.ndarray, subsamples: int, rng: np.random.Generator
) -> Float[np.ndarray, "{subsamples} k k"]:
    """`hsic` for half of the groups, drawn `subsamples` times. nan for too few samples.

    In the form of Song et al. 2012, eq. 5, no matrix is centred. Only the pairs of a half and its row sums are
    needed.
    """
    labels = np.unique(groups, return_inverse=True)[1]
    n_groups = int(labels.max()) + 1
    chosen = [rng.permutation(n_groups)[: n_groups // 2] for _ in range(subsamples)]
    halves = np.array([np.isin(labels, some) for some in chosen]).reshape(subsamples, len(labels))
    sums = grams @ halves.T.astype(np.float64) - np.diagonal(grams, axis1=1, axis2=2)[:, :, None]
    out = np.full((subsamples, len(grams), len(grams)), np.nan)
    for number, half in enumerate(halves):
        some = np.flatnonzero(half)
        if (m := len(some)) < FEWEST:
            continue
        above, rows = _above(grams, some), sums[:, some, number]
        total = rows.sum(1)
        inner = 2 * (above @ above.T) + np.outer(total, total) / ((m - 1) * (m - 2)) - 2 / (m - 2) * (rows @ rows.T)
        out[number] = inner / (m * (m - 3))
    return out


def _above(grams: Float[np.ndarray, "k n n"], order: Int[np.ndarray, " m"]) -> Float[np.ndarray, "k pair"]:
    """The upper triangles of Gram matrices of some samples, in an order.

    The matrices are symmetric: this is half of a product of two.
    """
    i, j = np.triu_indices(len(order), 1)
    out: np.ndarray = grams.reshape(len(grams), -1).take(order[i] * grams.shape[1] + order[j], axis=1)
    return out


def _ratio(
    products: Float[np.ndarray, "*rest k k"], own: Float[np.ndarray, "*some k k"]
) -> Float[np.ndarray, "*rest k k"]:
    size = np.sqrt(np.diagonal(own, axis1=-2, axis2=-1))
    return np.asarray(products / (size[..., :, None] * size[..., None, :]))


def _batches(groups: Sequence[str], rng: np.random.Generator) -> list[Int[np.ndarray, " sample"]]:
    """Samples in as few batches of whole groups as keep to about `BATCH`, with two groups at least, in random order."""
    labels = np.unique(np.asarray(groups), return_inverse=True)[1]
    n_groups = int(labels.max()) + 1
    share = np.array_split(rng.permutation(n_groups), max(1, min(n_groups // 2, -(-len(labels) // BATCH))))
    return [np.flatnonzero(np.isin(labels, part)) for part in share]
