"""The analysis `recover`, as it is registered."""

from layercliff.analyses.registry import Analysis

ANALYSIS = Analysis(
    "recover",
    __package__,
    heading="Pruned models after training",
    about="Train steps of the directory's path, and the dense model alike, on questions the report half does not hold: does the decision come back?",
    place=80,
    of_steps=True,
)
