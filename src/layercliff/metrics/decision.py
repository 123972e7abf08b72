"""Decision metrics of option scores. Shapes: depth 0..L, question, option. Absent options are masked."""

import numpy as np
from jaxtyping import Bool, Float, Int

Scores = Float[np.ndarray, "depth question option"]
PerDepthAndQuestion = Float[np.ndarray, "depth question"]
Mask = Bool[np.ndarray, "question option"]
Gold = Int[np.ndarray, " question"]


def probabilities(scores: Scores, mask: Mask) -> Scores:
    """p_l(o | i): the softmax over a question's own options, in float64.

    Args:
        scores: [depth question option] In nats.
        mask: [question option] Which options there are.

    Returns:
        [depth question option] In [0, 1]. 0 for absent options.
    """
    wide = np.where(mask, scores.astype(np.float64), -np.inf)
    exponent = np.exp(wide - wide.max(-1, keepdims=True))
    out: np.ndarray = exponent / exponent.sum(-1, keepdims=True)
    return out


def margin(values: Scores, mask: Mask, gold: Gold) -> PerDepthAndQuestion:
    """Gold minus the best other option.

    On probabilities this is the Decision Margin DM_l(i) (Shi et al. 2026). On scores it is the unnormalised
    `dm_logit`.

    Args:
        values: [depth question option] Probabilities, or scores in nats.
        mask: [question option] Which options there are.
        gold: [question] Index of the right option.

    Returns:
        [depth question] In [-1, 1] for probabilities.
    """
    right = _of_gold(values, gold)
    others = np.where(mask & ~_is_gold(mask, gold), values, -np.inf)
    out: np.ndarray = right - others.max(-1)
    return out


def margins_of_all(values: Scores, mask: Mask) -> Scores:
    """Each option minus the best other one: `margin`, were it the gold one.

    Args:
        values: [depth question option] Probabilities or scores.
        mask: [question option] Which options there are.

    Returns:
        [depth question option] Margins, -inf for absent options.
    """
    wide = np.where(mask, values, -np.inf)
    ordered = np.sort(wide, axis=-1)
    best_other = np.where(
        np.arange(wide.shape[-1]) == wide.argmax(-1)[..., None], ordered[..., -2:-1], ordered[..., -1:]
    )
    out: np.ndarray = wide - best_other
    return out


def votes(scores: Scores, mask: Mask) -> Scores:
    """The share of each option in a question's argmax.

    Args:
        scores: [depth question option] In nats, or anything in that order.
        mask: [question option] Which options there are.

    Returns:
        [depth question option] 1 for the winner, 1 / (number tied) for ties, else 0.
    """
    wide = np.where(mask, scores, -np.inf)
    winners = wide == wide.max(-1, keepdims=True)
    out: np.ndarray = winners / winners.sum(-1, keepdims=True)
    return out


def correctness(scores: Scores, mask: Mask, gold: Gold) -> PerDepthAndQuestion:
    """Say whether the gold option wins.

    Args:
        scores: [depth question option] In nats, or anything in that order.
        mask: [question option] Which options there are.
        gold: [question] Index of the right option.

    Returns:
        [depth question] 1 where it wins, 0 where it loses, 1 / (number tied) where it ties.
    """
    return _of_gold(votes(scores, mask), gold)


def decided_from(margins: PerDepthAndQuestion) -> Int[np.ndarray, " question"]:
    """The first depth from which a question's margin stays above 0.

    Args:
        margins: [depth question] Decision Margins.

    Returns:
        [question] Depth 0..L, or -1 where the margin ends at or below 0.
    """
    return np.where(margins[-1] > 0, stays_from(margins > 0), -1)


def stays_from(holds: Bool[np.ndarray, "depth *rest"]) -> Int[np.ndarray, "*rest"]:
    """The first row from which something is true to the end.

    Args:
        holds: [depth *rest] Whether it is true.

    Returns:
        [*rest] Row, or the number of rows where the last is false.
    """
    fails = ~holds[::-1]
    last_failure = np.where(fails.any(0), fails.argmax(0), len(holds))
    return np.asarray(len(holds) - last_failure)


def _is_gold(mask: Mask, gold: Gold) -> Mask:
    return np.asarray(np.arange(mask.shape[1]) == gold[:, None])


def _of_gold(values: Scores, gold: Gold) -> PerDepthAndQuestion:
    return np.asarray(np.take_along_axis(values, gold[None, :, None], axis=2)[..., 0])
