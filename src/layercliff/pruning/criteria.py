"""What makes a candidate good: per-question values of the model without it, higher is better."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from layercliff.metrics import decision
from layercliff.metrics.decision import Gold, Mask

Values = Float[np.ndarray, "candidate question"]
Candidates = Float[np.ndarray, "candidate question option"]


def _margin(scores: Candidates, mask: Mask, gold: Gold) -> Values:
    """The Decision Margin of the last depth (Shi et al. 2026)."""
    return decision.margin(decision.probabilities(scores, mask), mask, gold)


def _option_nll(scores: Candidates, mask: Mask, gold: Gold) -> Values:
    """log p of the gold option among the question's options."""
    wide = np.where(mask, scores.astype(np.float64), -np.inf)
    top = wide.max(-1)
    log_total = top + np.log(np.exp(wide - top[..., None]).sum(-1))
    return np.asarray(np.take_along_axis(wide, gold[None, :, None], 2)[..., 0] - log_total)


SCORES: Mapping[str, Callable[[Candidates, Mask, Gold], Values]] = {
    "margin": _margin,
    "accuracy": decision.correctness,
    "option_nll": _option_nll,
}


def combine(tasks: Sequence[Float[np.ndarray, "candidate _"]]) -> Float[np.ndarray, " candidate"]:
    """One score per candidate: the mean over questions, of several tasks the mean of what is standardised over candidates per task."""
    means = [values.mean(1) for values in tasks]
    if len(means) == 1:
        return np.asarray(means[0])
    spreads = [mean.std() for mean in means]
    out: np.ndarray = np.mean(
        [(m - m.mean()) / s if s > 0 else 0 * m for m, s in zip(means, spreads, strict=True)], axis=0
    )
    return out


def best(blocks: Sequence[int], scores: Float[np.ndarray, " candidate"]) -> int:
    """The block whose removal scores highest; of equal ones the later block."""
    return max(zip(scores.tolist(), blocks, strict=True))[1]
