"""How much the geometry of states at one depth tells of that at another, after MKA (Liu et al. 2024, arXiv 2406.16330)."""

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

COORDINATES = 2  # of the diffusion map


def diffusion_map(states: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n coordinate"]:
    """The leading coordinates of a diffusion map (Coifman & Lafon 2006): kernel exp(-sqrt(distance / scale)), density normalised with alpha = 1/2, as MKA
    has it; the scale is the median distance. States that are all the same have no coordinates but 0."""
    distance = cdist(states.astype(np.float64), states.astype(np.float64))
    scale = float(np.median(distance))
    if scale == 0:
        return np.zeros((len(states), COORDINATES))
    kernel = np.exp(-np.sqrt(distance / scale))
    density = kernel.sum(0)
    kernel = kernel / np.sqrt(np.outer(density, density))
    degree = np.sqrt(kernel.sum(0))
    _, vectors = np.linalg.eigh(kernel / np.outer(degree, degree))
    return np.asarray(vectors[:, -2 : -2 - COORDINATES : -1] / vectors[:, -1:])


def gram(coordinates: Float[np.ndarray, "n coordinate"]) -> Float[np.ndarray, "n n"]:
    """A Gaussian kernel of the coordinates' ranks, of trace 1; its width is Silverman's for as many points."""
    n, d = coordinates.shape
    ranks = rankdata(coordinates, axis=0) / n
    width = np.sqrt(1 / 12) * (4 / (d + 2) / n) ** (1 / (d + 4))  # a uniform variable's deviation
    return np.asarray(np.exp(-cdist(ranks, ranks, "sqeuclidean") / (2 * width**2)) / n)


def shared_information(first: Float[np.ndarray, "n n"], second: Float[np.ndarray, "n n"]) -> float:
    """I(first; second) / sqrt(H(first) H(second)), in [0, 1], of two kernels of trace 1 over the same n points: MKA's normalised pairwise
    information bottleneck. Entropies are those of matrices, of order 2 (Sanchez Giraldo, Rao & Principe 2015): H(A) = -log tr(A A), jointly of
    the product entry by entry. Without entropy it is 0."""
    one, other = _entropy(first), _entropy(second)
    joint = _entropy(first * second * len(first))
    return float((one + other - joint) / np.sqrt(one * other)) if one > 0 and other > 0 else 0.0


def _entropy(matrix: Float[np.ndarray, "n n"]) -> float:
    return max(0.0, -float(np.log((matrix**2).sum())))
