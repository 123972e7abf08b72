"""The analysis `noise`, as it is registered."""

from collections.abc import Sequence
from dataclasses import dataclass

from layercliff.analyses.registry import RegisteredAnalysis
from layercliff.choices import Positions
from layercliff.run import parsing
from layercliff.run.spec import AnalysisSpec, option


@dataclass(frozen=True)
class NoiseSpec(AnalysisSpec):
    """What `layercliff.noise` is told."""

    eps: Sequence[float] = option(
        (0.02, 0.1, 0.5),
        kind=str,
        read=parsing.sizes,
        shown="0.02,0.1,0.5",
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
