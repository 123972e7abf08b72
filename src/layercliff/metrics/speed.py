"""The speed of the pruned model against the dense one, timed in turns."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Speed:
    """The speed of the dense and of the pruned model.

    Attributes:
        tokens: Tokens that one measurement takes the time of.
        repeats: Number of measurements.
        dense: Tokens per second of the dense model, the median.
        pruned: Tokens per second of the pruned model, the median.
        ratio: How many times as fast the pruned one is: the median over pairs of neighbouring measurements.
        low: The least of these ratios.
        high: The greatest.
    """

    tokens: int
    repeats: int
    dense: float
    pruned: float
    ratio: float
    low: float
    high: float


def speed(tokens: int, dense: Float[np.ndarray, " repeat"], pruned: Float[np.ndarray, " repeat"]) -> Speed:
    """Speed from times. Measurements with one index were taken one after the other.

    Args:
        tokens: Tokens that one measurement takes the time of.
        dense: [repeat] Seconds of the dense model.
        pruned: [repeat] Seconds of the pruned model.

    Returns:
        Tokens per second, and their ratio.
    """
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
