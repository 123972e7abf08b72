"""The analysis `noise`, as it is registered."""

from layercliff.analyses.registry import Analysis

ANALYSIS = Analysis(
    "noise",
    __package__,
    heading="Noise at every depth",
    about="Put noise on the stream at one depth at a time: where is the decision fragile?",
    place=40,
)
