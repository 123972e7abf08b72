"""Prediction bias: how far the answers' frequencies are from the gold ones', beside a model without preference."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from layercliff.metrics.statistics import Curve, percentile_interval
from layercliff.random_streams import RandomStream, generator

DRAWS = 1000  # of the answers of a model without preference
AT_ONCE = 1_000_000  # answers drawn together, at most
SMOOTHING = 0.5


@dataclass(frozen=True)
class PredictionBias:
    """A divergence by depth, in nats, beside what it is without preference.

    Attributes:
        point: [depth] The divergence.
        reference: Its mean without preference, with the band that holds 95 % of such models.
        p: [depth] Share of models without preference that are at least as far away. It is never 0.
    """

    point: Float[np.ndarray, " depth"]
    reference: Curve
    p: Float[np.ndarray, " depth"]

    @property
    def excess(self) -> Float[np.ndarray, " depth"]:
        """[depth] The divergence beyond its mean without preference, in nats."""
        return np.asarray(self.point - self.reference.point)


def prediction_bias(
    counts: Float[np.ndarray, "depth category"],
    accuracy: Float[np.ndarray, " depth"],
    category: Int[np.ndarray, "question option"],
    gold: Int[np.ndarray, " question"],
    seed: int,
) -> tuple[PredictionBias, PredictionBias]:
    """Compare the answers at every depth with the golds, and with a model of no preference beyond its accuracy.

    Such a model is right with the accuracy of the depth, whatever the question. Where it is wrong, every wrong option
    of the question is as likely. Questions, their options and golds stay as they are. The same draws serve all depths.

    Args:
        counts: [depth category] How often each category is chosen.
        accuracy: [depth] Share of right answers.
        category: [question option] The option's category. -1 where it is absent; these come last.
        gold: [question] Index of the right option.
        seed: Decides the draws.

    Returns:
        KL(OF || Q) and the Jensen-Shannon divergence.
    """
    right = np.take_along_axis(category, gold[:, None], 1)[:, 0]
    golds = np.bincount(right, minlength=counts.shape[1]).astype(np.float64)
    drawn = _without_preference(accuracy, category, gold, golds, seed)
    kl, js = (
        _beside(divergence(counts, golds), samples)
        for divergence, samples in zip((kl_divergence, js_divergence), drawn, strict=True)
    )
    return kl, js


def _beside(point: Float[np.ndarray, " depth"], samples: Float[np.ndarray, "draw depth"]) -> PredictionBias:
    at_least = (samples >= point).sum(0)
    return PredictionBias(
        point, Curve(samples.mean(0), *percentile_interval(samples)), (at_least + 1) / (len(samples) + 1)
    )


def _without_preference(
    accuracy: Float[np.ndarray, " depth"],
    category: Int[np.ndarray, "question option"],
    gold: Int[np.ndarray, " question"],
    golds: Float[np.ndarray, " category"],
    seed: int,
) -> tuple[Float[np.ndarray, "draw depth"], Float[np.ndarray, "draw depth"]]:
    """Both divergences of `DRAWS` models without preference."""
    rng, rows = generator(RandomStream.NO_PREFERENCE, seed), np.arange(len(gold))
    right, n_wrong = category[rows, gold], (category >= 0).sum(1) - 1
    n_categories = len(golds)
    kl, js = np.zeros((2, DRAWS, len(accuracy)))
    together = max(1, AT_ONCE // len(gold))
    for first in range(0, DRAWS, together):
        part = slice(first, min(first + together, DRAWS))
        size = (part.stop - first, len(gold))
        luck = rng.random(size)
        place = (rng.random(size) * n_wrong).astype(np.int64)
        wrong = category[rows, place + (place >= gold)]
        offset = np.arange(size[0])[:, None] * n_categories
        for depth, share in enumerate(accuracy):
            answers = np.where(luck < share, right, wrong) + offset
            counts = np.bincount(answers.ravel(), minlength=size[0] * n_categories).astype(np.float64)
            each = counts.reshape(size[0], n_categories)
            kl[part, depth], js[part, depth] = kl_divergence(each, golds), js_divergence(each, golds)
    return kl, js


def kl_divergence(
    counts: Float[np.ndarray, "*rest category"], gold: Float[np.ndarray, " category"]
) -> Float[np.ndarray, "*rest"]:
    """KL(OF || Q), with 1/2 added to every count on both sides.

    Args:
        counts: [*rest category] How often each category is chosen.
        gold: [category] How often it is right.

    Returns:
        [*rest] In nats.
    """
    p, q = _smoothed(counts), _smoothed(gold)
    return np.asarray((p * np.log(p / q)).sum(-1))


def js_divergence(
    counts: Float[np.ndarray, "*rest category"], gold: Float[np.ndarray, " category"]
) -> Float[np.ndarray, "*rest"]:
    """The Jensen-Shannon divergence, with 1/2 added to every count on both sides.

    Args:
        counts: [*rest category] How often each category is chosen.
        gold: [category] How often it is right.

    Returns:
        [*rest] In nats.
    """
    p, q = _smoothed(counts), _smoothed(gold)
    middle = (p + q) / 2
    return np.asarray(((p * np.log(p / middle)).sum(-1) + (q * np.log(q / middle)).sum(-1)) / 2)


def _smoothed(counts: Float[np.ndarray, "*rest category"]) -> Float[np.ndarray, "*rest category"]:
    raised = counts + SMOOTHING
    out: np.ndarray = raised / raised.sum(-1, keepdims=True)
    return out
