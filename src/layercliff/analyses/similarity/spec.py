"""The analysis `similarity`, as it is registered."""

from layercliff.analyses.registry import Analysis

ANALYSIS = Analysis(
    "similarity",
    __package__,
    heading="Similarity of dense and pruned models",
    about="Compare states and decisions of the dense model with those of steps of the directory's path: debiased CKA of all depths.",
    place=60,
    of_steps=True,
)
