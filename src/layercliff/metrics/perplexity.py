"""Perplexity of the dense and of the pruned model on the same text, with intervals."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from layercliff.metrics.statistics import RESAMPLES, Resamples, percentile_interval


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    point: float
    low: float
    high: float


@dataclass(frozen=True)
class Perplexity:
    """exp of the mean negative log-likelihood per token (nats), of the dense and of the pruned model.

    `ratio` is pruned over dense. Its interval is paired: both models read the same paragraphs in every resample.
    Tokens are the model's own: only models with one tokenizer compare.
    """

    paragraphs: int
    tokens: int
    dense: Estimate
    pruned: Estimate
    ratio: Estimate


def perplexity(
    log_likelihood: Float[np.ndarray, "2 paragraph"],
    tokens: Int[np.ndarray, " paragraph"],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Perplexity:
    """Perplexity from each paragraph's summed log-likelihood (nats; dense, then pruned) and number of `tokens`.

    Whole paragraphs are resampled: the tokens of one are not independent.
    """
    drawn = Resamples.draw([f"{index:09d}" for index in range(len(tokens))], resamples, seed)
    rows = np.stack([*log_likelihood, tokens]).astype(np.float64)
    points = _perplexities(rows.sum(1)[None])[0]
    low, high = percentile_interval(_perplexities(drawn.means(rows)))
    dense, pruned, ratio = (Estimate(float(p), float(a), float(b)) for p, a, b in zip(points, low, high, strict=True))
    return Perplexity(len(tokens), int(tokens.sum()), dense, pruned, ratio)


def losses(
    log_likelihood: Float[np.ndarray, "row paragraph"],
    tokens: Int[np.ndarray, " paragraph"],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Float[np.ndarray, " row"], Float[np.ndarray, "resample row"]]:
    """The mean negative log-likelihood per token (nats) of every row, and the same in resamples of whole paragraphs."""
    drawn = Resamples.draw([f"{index:09d}" for index in range(len(tokens))], resamples, seed)
    means = drawn.means(np.concatenate([log_likelihood, tokens[None]]).astype(np.float64))
    return -log_likelihood.sum(1) / tokens.sum(), -means[:, :-1] / means[:, -1:]


def _perplexities(sums: Float[np.ndarray, "resample 3"]) -> Float[np.ndarray, "resample 3"]:
    """Dense, pruned and ratio, from sums (or means) of both log-likelihoods and of the tokens."""
    dense, pruned = sums[:, 0] / sums[:, 2], sums[:, 1] / sums[:, 2]
    with np.errstate(over="ignore"):
        out: np.ndarray = np.exp(np.stack([-dense, -pruned, dense - pruned], 1))
    return out
