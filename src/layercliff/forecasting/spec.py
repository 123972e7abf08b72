"""The analysis `foretell`, as it is registered."""

from layercliff.analyses.registry import Analysis

ANALYSIS = Analysis(
    "foretell",
    __package__,
    heading="The collapse, forecast",
    about="Say where a model will collapse before anything is pruned, from the dense model alone, with an interval.",
    place=10,
)
