"""How much faster: the same work timed with one model and with the other, in turns."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Speed:
    """Tokens per second of the dense and of the pruned model (medians), how many times as fast the pruned one is (the
    median over pairs of neighbouring measurements), and the smallest and largest such ratio. A measurement is the time
    of `tokens` tokens."""

    tokens: int
    repeats: int
    dense: float
    pruned: float
    ratio: float
    low: float
    high: float


def speed(tokens: int, dense: Float[np.ndarray, " repeat"], pruned: Float[np.ndarray, " repeat"]) -> Speed:
    """From the seconds each model took for `tokens` tokens; measurements at the same place were taken one after the
    other."""
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
