"""The analysis `controls`, as it is registered."""

from layercliff.analyses.registry import Analysis

ANALYSIS = Analysis(
    "controls",
    __package__,
    heading="Controls",
    about="Put controls beside a trace: random weights, other golds, another order of options, a constant answer, plain text.",
    place=20,
)
