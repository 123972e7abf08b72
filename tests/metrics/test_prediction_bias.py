"""Prediction bias, and what it is for a model without preference."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, multinomial

from layercliff.metrics import frequency, prediction_bias
from layercliff.metrics.prediction_bias import PredictionBias, js_divergence, kl_divergence
from layercliff.tasks import geography, splits


def test_divergences_against_scipy() -> None:
    counts, gold = np.array([5.0, 0.0, 3.0]), np.array([2.0, 2.0, 4.0])
    p, q = (counts + 0.5) / 9.5, (gold + 0.5) / 9.5
    np.testing.assert_allclose(kl_divergence(counts, gold), entropy(p, q))
    np.testing.assert_allclose(js_divergence(counts, gold), jensenshannon(p, q) ** 2)
    assert kl_divergence(gold, gold) == 0


def asked(n: int, n_categories: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Questions of two to four options, and their golds."""
    rng = np.random.default_rng(seed)
    category = np.array([rng.permutation(n_categories)[:4] for _ in range(n)])
    sizes = rng.integers(2, 5, n)
    category[np.arange(4) >= sizes[:, None]] = -1
    return category, (rng.random(n) * sizes).astype(int)


def answers(
    category: np.ndarray, gold: np.ndarray, accuracy: float, rng: np.random.Generator, n_categories: int
) -> np.ndarray:
    """How often each category is chosen by a model without preference, question by question."""
    counts = np.zeros(n_categories)
    for options, right in zip(category, gold, strict=True):
        wrong = [k for k in range(4) if options[k] >= 0 and k != right]
        counts[options[right if rng.random() < accuracy else rng.choice(wrong)]] += 1
    return counts


def test_a_model_without_preference_is_inside_the_band() -> None:
    """Its p is uniform, whatever its accuracy, also where it is below guessing."""
    category, gold = asked(60, 12, 0)
    rng, accuracy = np.random.default_rng(1), np.tile([0.1, 0.4, 0.8], 60)
    counts = np.array([answers(category, gold, share, rng, 12) for share in accuracy])
    for found in prediction_bias.prediction_bias(counts, accuracy, category, gold, 0):
        inside = (found.reference.low <= found.point) & (found.point <= found.reference.high)
        assert 0.90 <= inside.mean() <= 0.99
        assert 0.01 <= (found.p <= 0.05).mean() <= 0.1
        assert abs(found.p.mean() - 0.5) < 0.07
        assert abs(found.excess.mean()) < 0.2 * found.reference.point.mean()


def test_a_preference_is_above_the_band() -> None:
    category, gold = np.tile(np.arange(4), (100, 1)), np.arange(100) % 4
    first, even = np.array([[100.0, 0, 0, 0], [25.0, 25, 25, 25]])
    kl, js = prediction_bias.prediction_bias(np.stack([first, even]), np.full(2, 0.25), category, gold, 0)
    for found in (kl, js):
        assert found.point[0] > 10 * found.reference.high[0]
        assert found.p.tolist() == [1 / (prediction_bias.DRAWS + 1), 1]
        assert found.excess[1] == -found.reference.point[1] < 0


def test_the_reference_is_that_of_a_multinomial() -> None:
    """Letters without preference: their counts are drawn together, the expected divergence summed over all counts."""
    category, gold = np.tile(np.arange(3), (8, 1)), np.array([0, 0, 0, 1, 1, 1, 2, 2])
    every = [np.array([a, b, 8 - a - b], float) for a in range(9) for b in range(9 - a)]
    golds = np.bincount(gold).astype(float)
    chance = [multinomial.pmf(counts, 8, [1 / 3] * 3) for counts in every]
    expected = sum(p * kl_divergence(counts, golds) for p, counts in zip(chance, every, strict=True))
    kl, _ = prediction_bias.prediction_bias(golds[None], np.array([1 / 3]), category, gold, 0)
    assert kl.reference.point[0] == pytest.approx(expected, rel=0.06)


def test_the_reference_is_seeded_and_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    category, gold = asked(300, 115, 0)
    counts = np.full((2, 115), 300 / 115)

    def reference(seed: int) -> PredictionBias:
        return prediction_bias.prediction_bias(counts, np.array([0.25, 0.69]), category, gold, seed)[0]

    whole = reference(0)
    np.testing.assert_array_equal(whole.reference.point, reference(0).reference.point)
    assert (whole.reference.point != reference(1).reference.point).all()
    monkeypatch.setattr(prediction_bias, "AT_ONCE", 90_000)
    np.testing.assert_allclose(reference(0).reference.point, whole.reference.point, rtol=0.02)


def test_the_reference_on_cities() -> None:
    """What the documentation says of 300 questions and 115 answers."""
    questions, _ = splits.draw(geography.cities(0), 0, 300)
    kinds = frequency.categories(questions, "cloze")
    counts, gold = np.full((2, len(kinds.labels)), 300 / 115), np.array([q.gold for q in questions])
    kl, _ = prediction_bias.prediction_bias(counts, np.array([0.25, 0.69]), kinds.index, gold, 0)
    np.testing.assert_allclose(kl.reference.point, [0.164, 0.078], atol=0.001)
    assert len(kinds.labels) == 115
