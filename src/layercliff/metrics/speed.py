"""The speed of the pruned model against the dense one, timed in turns."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Speed:
    """Tokens per second of the dense and of the pruned model (medians), and how many times as fast the pruned one is.

    `ratio` is the median over pairs of neighbouring measurements, `low` and `high` the extremes. A measurement is the
    time of `tokens` tokens.
    """

    tokens: int
    repeats: int
    dense: float
    pruned: float
    ratio: float
    low: float
    high: float


def speed(tokens: int, dense: Float[np.ndarray, " repeat"], pruned: Float[np.ndarray, " repeat"]) -> Speed:
    """Speed from the seconds for `tokens` tokens. Measurements with one index were taken one after the other."""
    ratios = dense / pruned
    return Speed(
        tokens,
        len(dense),
        float(tokens / np.median(dense)),
        float(tokens / np.median(pruned)),
        float(np.median(ratios)),
        float(ratios.min()),
        float(ratios.max()),
    )
