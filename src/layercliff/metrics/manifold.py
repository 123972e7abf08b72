"""How much the geometry of states at one depth tells of another's, after MKA (Liu et al. 2024, arXiv 2406.16330)."""

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata

COORDINATES = 2  # of the diffusion map

Pairs = Float[np.ndarray, " pair"]
"""Kernel values for all pairs of different points."""


def diffusion_map(states: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n coordinate"]:
    """The leading coordinates of a diffusion map (Coifman & Lafon 2006).

    The kernel is exp(-sqrt(distance / scale)), density normalised with alpha = 1/2, as in MKA. The scale is the
    median distance.

    Args:
        states: [n d] Points, such as states at one depth.

    Returns:
        [n coordinate] Two coordinates. All are 0 where all states are equal.
    """
    distances = pdist(states.astype(np.float64))
    scale = float(np.median(distances))
    if scale == 0:
        return np.zeros((len(states), COORDINATES))
    kernel = np.exp(-np.sqrt(squareform(distances) / scale))
    density = kernel.sum(0)
    kernel = kernel / np.sqrt(np.outer(density, density))
    degree = np.sqrt(kernel.sum(0))
    _, vectors = np.linalg.eigh(kernel / np.outer(degree, degree))
    return np.asarray(vectors[:, -2 : -2 - COORDINATES : -1] / vectors[:, -1:])


def closeness(coordinates: Float[np.ndarray, "n coordinate"]) -> Pairs:
    """A Gaussian kernel of the coordinates' ranks, with the width of Silverman's rule.

    Args:
        coordinates: [n coordinate] Points.

    Returns:
        [pair] Kernel values in (0, 1], for all pairs of different points.
    """
    n, d = coordinates.shape
    width = np.sqrt(1 / 12) * (4 / (d + 2) / n) ** (1 / (d + 4))  # the first factor: a uniform variable's deviation
    return np.asarray(np.exp(-pdist(rankdata(coordinates, axis=0) / n, "sqeuclidean") / (2 * width**2)))


def shared_information(first: Pairs, second: Pairs) -> float:
    """MKA's normalised pairwise information bottleneck.

    It is I(first; second) over the mean of I(first; first) and I(second; second), which stand for the entropies.

        I(X; Y) = H(X) + H(Y) - H(X, Y)

    H is Rényi's quadratic entropy: minus the log of the mean kernel value over pairs of different points (Principe
    2010). The joint kernel is the product.

    Args:
        first: [pair] Kernel values of one set of points.
        second: [pair] Kernel values of another, of the same samples.

    Returns:
        In [0, 1]. Equal variables share 1, unrelated ones 0 but for chance. One without information shares 0.
    """
    own = (_information(first, first) + _information(second, second)) / 2
    return max(0.0, _information(first, second) / own) if own > 1e-12 else 0.0


def _information(first: Pairs, second: Pairs) -> float:
    return float(np.log((first * second).mean()) - np.log(first.mean()) - np.log(second.mean()))
