"""The analysis `trace`, as it is registered."""

from layercliff.analyses.registry import Analysis

ANALYSIS = Analysis(
    "trace",
    __package__,
    heading="Where the decision forms",
    about="Find where a model decides: option scores at every depth, with the transition depth and option frequency.",
    place=None,
)
