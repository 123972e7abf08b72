"""Candidates compared by their values."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def combine(tasks: Sequence[Float[np.ndarray, "candidate _"]]) -> Float[np.ndarray, " candidate"]:
    """One score per candidate: the mean over questions.

    Of several tasks, each task's means are standardised over candidates, and then averaged.
    """
    means = [values.mean(1) for values in tasks]
    if len(means) == 1:
        return np.asarray(means[0])
    spreads = [mean.std() for mean in means]
    out: np.ndarray = np.mean(
        [(m - m.mean()) / s if s > 0 else 0 * m for m, s in zip(means, spreads, strict=True)], axis=0
    )
    return out


def best(blocks: Sequence[int], scores: Float[np.ndarray, " candidate"]) -> int:
    """The block whose removal scores highest. Of equal ones the later block."""
    return max(zip(scores.tolist(), blocks, strict=True))[1]
