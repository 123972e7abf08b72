"""The analysis `lens`, as it is registered."""

from layercliff.analyses.registry import Analysis

ANALYSIS = Analysis(
    "lens",
    __package__,
    heading="Lenses",
    about="Read every depth through other lenses as well: is it silent, or does it speak in another basis?",
    place=30,
)
