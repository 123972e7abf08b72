"""CKA against its definition as a sum over four different samples, and what it must be by itself."""

from itertools import permutations

import numpy as np
import pytest
from cka import cka, hsic

from layercliff.errors import LayercliffError
from layercliff.metrics import similarity
from layercliff.metrics.similarity import prepared, similarities
from layercliff.random_streams import RandomStream, generator

RNG = np.random.default_rng(0)


def slow_hsic(x: np.ndarray, y: np.ndarray) -> float:
    """The mean of K_ij (L_ij + L_qr - 2 L_iq) over all different i, j, q, r (Song et al. 2012, eq. 4)."""
    k, m = x @ x.T, y @ y.T
    terms = [k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in permutations(range(len(x)), 4)]
    return float(np.mean(terms))


def measured(x: np.ndarray, y: np.ndarray, standardised: bool = False) -> float:
    """CKA of all samples, each a group of its own."""
    sets = [prepared(f, "states", standardised) for f in (x, y)]
    return float(similarities(sets, [str(i) for i in range(len(x))], subsamples=0, shuffles=0).point[0, 1])


@pytest.mark.parametrize("n", [4, 5, 9])
def test_against_the_definition(n: int) -> None:
    x = RNG.normal(size=(n, 3)) + 2
    y = np.concatenate([x[:, :2] * 3, RNG.normal(size=(n, 4))], 1)
    expected = slow_hsic(x, y) / np.sqrt(slow_hsic(x, x) * slow_hsic(y, y))
    assert measured(x, y) == pytest.approx(expected, abs=1e-6)


def test_against_the_closed_form_on_many_samples() -> None:
    x = RNG.normal(size=(200, 30)) * 50 + 1000
    y = x @ RNG.normal(size=(30, 20)) + 100 * RNG.normal(size=(200, 20))
    assert measured(x, y) == pytest.approx(cka(x, y), abs=1e-6)


def test_independent_noise_is_about_0() -> None:
    """The biased form is not."""
    found = [measured(RNG.normal(size=(256, 896)), RNG.normal(size=(256, 896))) for _ in range(10)]
    assert abs(np.mean(found)) < 0.005
    assert np.max(np.abs(found)) < 0.03


def test_the_same_rotated_shifted_and_scaled_is_1() -> None:
    x = RNG.normal(size=(100, 20)) * RNG.lognormal(size=20)
    rotation, _ = np.linalg.qr(RNG.normal(size=(20, 20)))
    for y in (x, x @ rotation, 7 * x + 300, (x + 1e4) @ rotation):
        assert measured(x, y) == pytest.approx(1, abs=1e-6)


def test_a_common_shift_changes_nothing() -> None:
    """A mean that all samples share, however large, makes independent features no more alike, and alike ones no
    less."""
    x, other = RNG.normal(size=(256, 40)), RNG.normal(size=(256, 40))
    y, shift = x + RNG.normal(size=x.shape), 1e4 * RNG.normal(size=40)
    for second in (other, y):
        assert measured(x + shift, second + shift) == pytest.approx(measured(x, second), abs=1e-6)


def test_a_group_larger_than_a_batch_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "BATCH", 8)
    x = prepared(RNG.normal(size=(30, 4)), "x")
    found = similarities([x, x[:, ::-1]], ["one"] * 30, subsamples=1, shuffles=0)
    assert found.point[0, 1] == pytest.approx(cka(x, x[:, ::-1]), abs=1e-9)


def test_large_groups_are_put_two_to_a_batch() -> None:
    """Half of them is then something."""
    x = RNG.normal(size=(6 * 300, 3))
    groups = [str(i // 300) for i in range(len(x))]
    assert np.isfinite(similarities([prepared(x, "x")], groups, subsamples=20).samples).all()


def test_questions_with_as_many_options_as_most_have() -> None:
    mask = np.arange(4) < np.array([3, 4, 3, 2, 3])[:, None]
    np.testing.assert_array_equal(similarity.usual(mask), [0, 2, 4])


def test_standardised_features_weigh_the_same() -> None:
    shared, own = RNG.normal(size=(300, 8)), [RNG.normal(size=(300, 1)) * 1e4 for _ in range(2)]
    x, y = (np.concatenate([shared, massive], 1) for massive in own)
    assert abs(measured(x, y)) < 0.02  # one massive feature is all there is
    assert measured(x, y, standardised=True) > 0.6


def test_refusals_say_what() -> None:
    with pytest.raises(LayercliffError, match="depth 3 has 3 samples"):
        prepared(np.eye(3), "depth 3")
    with pytest.raises(LayercliffError, match="depth 0 is constant in every feature over all 5 samples"):
        prepared(np.ones((5, 2)) * np.array([3.0, 0.1]), "depth 0")
    some = np.concatenate([RNG.normal(size=(5, 2)), np.ones((5, 1))], 1)
    prepared(some, "depth 1")
    with pytest.raises(LayercliffError, match=r"depth 1 is constant in feature 2 \(of 1 such\)"):
        prepared(some, "depth 1", standardised=True)


def test_every_pair_of_many() -> None:
    sets = [RNG.normal(size=(60, width)) for width in (4, 7)]
    sets.append(sets[0] @ RNG.normal(size=(4, 5)))
    found = similarities([prepared(s, "s") for s in sets], [str(i // 2) for i in range(60)], subsamples=50)
    for i in range(3):
        for j in range(3):
            assert found.point[i, j] == pytest.approx(cka(sets[i], sets[j]), abs=1e-9)
    low, high = found.interval()
    assert low[0, 2] < found.point[0, 2] < high[0, 2]
    assert (high[0, 1] - low[0, 1]) > 0.01
    np.testing.assert_allclose(np.diagonal(low), 1)
    assert np.abs(found.shuffled[:, 0, 2]).mean() < 0.1 < found.point[0, 2]


def test_subsamples_and_shuffles_are_those_of_their_samples() -> None:
    """One by one, from the features, drawn anew in the same order."""
    x = RNG.normal(size=(40, 6))
    sets = [prepared(s, "s") for s in (x, x @ RNG.normal(size=(6, 3)) + RNG.normal(size=(40, 3)))]
    groups = [str(i // 2) for i in range(40)]
    found = similarities(sets, groups, seed=5, subsamples=3, shuffles=2)
    rng = generator(RandomStream.CKA, 5)
    (batch,) = similarity._batches(groups, rng)
    x, y = (s[batch] for s in sets)
    size = np.sqrt(hsic(x, x) * hsic(y, y))
    orders = [rng.permutation(40) for _ in range(2)]
    np.testing.assert_allclose(found.shuffled[:, 0, 1], [hsic(x, y[order]) / size for order in orders], atol=1e-12)
    for samples in found.samples:
        chosen = rng.permutation(20)[:10]
        labels = np.unique([groups[i] for i in batch], return_inverse=True)[1]
        some = np.flatnonzero(np.isin(labels, chosen))
        assert samples[0, 1] == pytest.approx(cka(x[some], y[some]), abs=1e-12)


def test_batches_average_hsic_before_dividing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "BATCH", 20)
    x = prepared(RNG.normal(size=(50, 6)), "x")
    y = prepared(x @ RNG.normal(size=(6, 3)) + RNG.normal(size=(50, 3)), "y")
    groups = [str(i // 5) for i in range(50)]
    found = similarities([x, y], groups, seed=4, subsamples=2, shuffles=1)
    parts = similarity._batches(groups, generator(RandomStream.CKA, 4))
    assert sorted(np.concatenate(parts)) == list(range(50))
    assert len(parts) == 3
    assert not {groups[i] for i in parts[0]} & {groups[i] for i in parts[1]}
    means = [np.mean([hsic(a[p], b[p]) for p in parts]) for a, b in ((x, y), (x, x), (y, y))]
    assert found.point[0, 1] == pytest.approx(means[0] / np.sqrt(means[1] * means[2]), abs=1e-9)


def test_spread_of_half_samples_is_that_of_the_estimate() -> None:
    def draw(rng: np.random.Generator) -> list[np.ndarray]:
        x = rng.normal(size=(120, 5))
        return [x, x + 1.5 * rng.normal(size=(120, 5))]

    points, spreads = [], []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        sets = [prepared(s, "s") for s in draw(rng)]
        found = similarities(sets, [str(i) for i in range(120)], subsamples=40 if seed < 20 else 0, shuffles=0)
        points.append(found.point[0, 1])
        if seed < 20:
            spreads.append(found.samples[:, 0, 1].std())
    assert np.mean(spreads) == pytest.approx(np.std(points), rel=0.25)
