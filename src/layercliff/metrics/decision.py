"""Decision metrics of option scores. Shapes: depth 0..L, question, option. Absent options are masked."""

import numpy as np
from jaxtyping import Bool, Float, Int

Scores = Float[np.ndarray, "depth question option"]
PerDepthAndQuestion = Float[np.ndarray, "depth question"]
Mask = Bool[np.ndarray, "question option"]
Gold = Int[np.ndarray, " question"]


def probabilities(scores: Scores, mask: Mask) -> Scores:
    """p_l(o | i): the softmax over a question's own options, in float64. 0 for absent ones."""
    wide = np.where(mask, scores.astype(np.float64), -np.inf)
    exponent = np.exp(wide - wide.max(-1, keepdims=True))
    out: np.ndarray = exponent / exponent.sum(-1, keepdims=True)
    return out


def margin(values: Scores, mask: Mask, gold: Gold) -> PerDepthAndQuestion:
    """Gold minus the best other option.

    On probabilities this is the Decision Margin DM_l(i), in [-1, 1] (Shi et al. 2026). On scores it is the
    unnormalised `dm_logit`.
    """
    right = _of_gold(values, gold)
    others = np.where(mask & ~_is_gold(mask, gold), values, -np.inf)
    out: np.ndarray = right - others.max(-1)
    return out


def votes(scores: Scores, mask: Mask) -> Scores:
    """The share of each option in a question's argmax: 1 for the winner, 1 / (number tied) for ties."""
    wide = np.where(mask, scores, -np.inf)
    winners = wide == wide.max(-1, keepdims=True)
    out: np.ndarray = winners / winners.sum(-1, keepdims=True)
    return out


def correctness(scores: Scores, mask: Mask, gold: Gold) -> PerDepthAndQuestion:
    """1 where the gold option wins, 0 where it loses, 1 / (number tied) where it ties."""
    return _of_gold(votes(scores, mask), gold)


def decided_from(margins: PerDepthAndQuestion) -> Int[np.ndarray, " question"]:
    """The first depth from which a question's margin stays above 0. -1 where it ends at or below 0."""
    return np.where(margins[-1] > 0, stays_from(margins > 0), -1)


def stays_from(holds: Bool[np.ndarray, "depth *rest"]) -> Int[np.ndarray, "*rest"]:
    """The first row from which `holds` is true to the end. It is the number of rows where the last is false."""
    fails = ~holds[::-1]
    last_failure = np.where(fails.any(0), fails.argmax(0), len(holds))
    return np.asarray(len(holds) - last_failure)


def _is_gold(mask: Mask, gold: Gold) -> Mask:
    return np.asarray(np.arange(mask.shape[1]) == gold[:, None])


def _of_gold(values: Scores, gold: Gold) -> PerDepthAndQuestion:
    return np.asarray(np.take_along_axis(values, gold[None, :, None], axis=2)[..., 0])
