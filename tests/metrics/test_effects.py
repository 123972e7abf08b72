"""Effects are paired with the undisturbed run."""

import numpy as np

from layercliff.metrics.effects import decisions, effects
from layercliff.metrics.statistics import Resamples


def test_paired_changes() -> None:
    rng = np.random.default_rng(0)
    base, right = rng.normal(size=60), (rng.random(60) < 0.5).astype(float)
    groups = [f"g{i // 2}" for i in range(60)]
    resamples = Resamples.draw(groups, 400)
    found = effects(np.stack([base, base - 0.1]), np.stack([right, 1 - right]), base, right, resamples)
    np.testing.assert_allclose(found.margin_change.point, [0, -0.1], atol=1e-12)
    np.testing.assert_allclose(found.margin_change.low, [0, -0.1], atol=1e-12)  # a constant difference has no spread
    assert found.margin.high[0] - found.margin.low[0] > 0.2
    assert found.accuracy_change.point[1] == (1 - 2 * right).mean()


def test_decisions_of_runs() -> None:
    scores = np.array([[[2.0, 0.0, np.nan], [0.0, 1.0, 1.0]]], np.float32)
    mask = np.array([[True, True, False], [True, True, True]])
    margin, correct = decisions(scores, mask, np.array([0, 1]))
    np.testing.assert_allclose(margin, [[np.tanh(1.0), 0.0]], atol=1e-6)
    np.testing.assert_allclose(correct, [[1.0, 0.5]])
