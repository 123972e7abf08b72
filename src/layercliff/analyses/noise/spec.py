"""The analysis `noise`, as it is registered."""

from collections.abc import Sequence
from dataclasses import dataclass

from layercliff.analyses.registry import RegisteredAnalysis
from layercliff.choices import Positions
from layercliff.run import parsing
from layercliff.run.spec import AnalysisSpec, option

READINGS = {
    0.02: "standard deviation 0.02",
    0.1: "standard deviation 0.1",
    0.1414: "variance 0.02",
    0.3162: "variance 0.1",
    0.5: "standard deviation 0.5",
    0.7071: "variance 0.5",
}
"""The paper's sizes 0.02, 0.1 and 0.5, which may be standard deviations or variances, as standard deviations."""


def with_reading(size: float) -> str:
    """A size, and which of the paper's it is: ``0.1414 (variance 0.02)``."""
    return f"{size:g} ({READINGS[size]})" if size in READINGS else f"{size:g}"


@dataclass(frozen=True)
class NoiseSpec(AnalysisSpec):
    """What `layercliff.noise` is told."""

    eps: Sequence[float] = option(
        tuple(READINGS),
        kind=str,
        read=parsing.sizes,
        shown=",".join(map(str, READINGS)),
        help="Sizes of noise, in standard deviations of a token's state, joined by commas.",
    )
    draws: int = option(3, help="How often noise is drawn.")
    positions: Positions = option(
        "all", help="Positions that are changed: all of a prompt, or those that are read (decision)."
    )


ANALYSIS = RegisteredAnalysis(
    "noise",
    __package__,
    NoiseSpec,
    heading="Noise at every depth",
    about="Put noise on the stream at one depth at a time: where is the decision fragile?",
    place=40,
)
