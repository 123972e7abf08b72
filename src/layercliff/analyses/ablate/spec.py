"""The analysis `ablate`, as it is registered."""

from layercliff.analyses.registry import Analysis

ANALYSIS = Analysis(
    "ablate",
    __package__,
    heading="Blocks and pairs taken out",
    about="Take out every block and every adjacent pair, by skipping it and by its mean: what is each worth?",
    place=50,
)
