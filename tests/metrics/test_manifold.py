"""Shared information: what its entropies are, its bounds, and that it does not depend on how states are laid out."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import rankdata

from layercliff.metrics.manifold import COORDINATES, closeness, diffusion_map, shared_information

N = 60


def states(seed: int, d: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(N, d)) * np.linspace(3, 0.1, d)


def test_entropies_against_loops_over_pairs() -> None:
    """Quadratic entropies of points, whose windows are Gaussian in every coordinate of both."""
    places = [rankdata(diffusion_map(s), axis=0) / N for s in (states(0), states(0) + 0.3 * states(1))]
    width = np.sqrt(1 / 12) * N ** (-1 / 6)

    def entropy(points: np.ndarray) -> float:
        values = [math.exp(-sum((a - b) ** 2) / (2 * width**2)) for a, b in combinations(points, 2)]
        return -math.log(sum(values) / len(values))

    def information(a: np.ndarray, b: np.ndarray) -> float:
        return entropy(a) + entropy(b) - entropy(np.concatenate([a, b], 1))

    wanted = information(*places) / np.mean([information(p, p) for p in places])
    found = shared_information(*(closeness(diffusion_map(s)) for s in (states(0), states(0) + 0.3 * states(1))))
    assert found == pytest.approx(wanted, rel=1e-6)


def test_nothing_shares_more_than_the_same() -> None:
    own = closeness(diffusion_map(states(0)))
    near, far = (closeness(diffusion_map(states(0) + noise * states(1))) for noise in (0.1, 3.0))
    unrelated = closeness(diffusion_map(states(2)))
    found = [shared_information(own, other) for other in (own, near, far, unrelated)]
    assert found[0] == pytest.approx(1)
    assert found == sorted(found, reverse=True)
    assert 0 <= found[-1] < 0.1
    assert 0.5 < found[1] < 1
    assert shared_information(own, near) == pytest.approx(shared_information(near, own))


def test_size_and_direction_of_states_do_not_count() -> None:
    turned = 7 * states(0) @ np.linalg.qr(np.random.default_rng(3).normal(size=(12, 12)))[0] + 2
    np.testing.assert_allclose(np.abs(diffusion_map(turned)), np.abs(diffusion_map(states(0))), rtol=1e-6, atol=1e-8)


def test_a_diffusion_map_keeps_neighbours_together() -> None:
    """Two clusters come apart in the first coordinate."""
    clusters = np.where(np.arange(N) < N // 2, -5.0, 5.0)[:, None] + states(4, 3)
    first = diffusion_map(clusters)[:, 0]
    assert diffusion_map(clusters).shape == (N, COORDINATES)
    assert (np.sign(first[: N // 2]) == np.sign(first[0])).all()
    assert (np.sign(first[N // 2 :]) == -np.sign(first[0])).all()


def test_states_that_are_all_the_same_share_nothing() -> None:
    same = closeness(diffusion_map(np.ones((N, 4))))
    assert shared_information(same, same) == 0
    assert shared_information(same, closeness(diffusion_map(states(0)))) == 0
