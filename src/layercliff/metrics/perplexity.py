"""Perplexity of the dense and of the pruned model on the same text, with intervals."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from layercliff.metrics.intervals import bca
from layercliff.metrics.statistics import RESAMPLES, Resamples


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval.

    Attributes:
        point: The number.
        low: Lower end.
        high: Upper end.
    """

    point: float
    low: float
    high: float


@dataclass(frozen=True)
class Perplexity:
    """exp of the mean negative log-likelihood per token (nats), of the dense and of the pruned model.

    Tokens are the model's own: only models with one tokenizer compare.

    Attributes:
        paragraphs: Number of paragraphs, which are resampled.
        tokens: Number of tokens that are predicted.
        dense: Of the dense model.
        pruned: Of the pruned model.
        ratio: Pruned over dense. Its interval is paired: both read the same paragraphs in every resample.
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
    """Perplexity of two models on the same text.

    Whole paragraphs are resampled: the tokens of one are not independent.

    Args:
        log_likelihood: [2 paragraph] Sums over tokens in nats, of the dense and of the pruned model.
        tokens: [paragraph] Number of tokens in each sum.
        resamples: Number of resamples behind every interval.
        seed: Decides the resamples.

    Returns:
        Both perplexities and their ratio, with intervals.
    """
    drawn = Resamples.draw([f"{index:09d}" for index in range(len(tokens))], resamples, seed)
    rows = np.stack([*log_likelihood, tokens]).astype(np.float64)
    logs = _log_perplexities(rows.sum(1)[None])[0]
    ends = (logs, *bca(logs, _log_perplexities(drawn.means(rows)), drawn.groups))
    with np.errstate(over="ignore"):
        dense, pruned, ratio = (Estimate(*map(float, np.exp(each))) for each in zip(*ends, strict=True))
    return Perplexity(len(tokens), int(tokens.sum()), dense, pruned, ratio)


def losses(
    log_likelihood: Float[np.ndarray, "row paragraph"],
    tokens: Int[np.ndarray, " paragraph"],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Float[np.ndarray, " row"], Float[np.ndarray, "resample row"]]:
    """The mean negative log-likelihood per token of every row. Whole paragraphs are resampled.

    Args:
        log_likelihood: [row paragraph] Sums over tokens in nats.
        tokens: [paragraph] Number of tokens in each sum.
        resamples: Number of resamples.
        seed: Decides the resamples.

    Returns:
        [row] in nats per token, and the same in resamples, [resample row].
    """
    drawn = Resamples.draw([f"{index:09d}" for index in range(len(tokens))], resamples, seed)
    means = drawn.means(np.concatenate([log_likelihood, tokens[None]]).astype(np.float64))
    return -log_likelihood.sum(1) / tokens.sum(), -means[:, :-1] / means[:, -1:]


def _log_perplexities(sums: Float[np.ndarray, "resample 3"]) -> Float[np.ndarray, "resample 3"]:
    """Logarithms of dense, pruned and ratio, from sums (or means) of both log-likelihoods and of the tokens."""
    dense, pruned = sums[:, 0] / sums[:, 2], sums[:, 1] / sums[:, 2]
    return np.stack([-dense, -pruned, dense - pruned], 1)
