"""The analysis `patch`, as it is registered."""

from layercliff.analyses.registry import Analysis

ANALYSIS = Analysis(
    "patch",
    __package__,
    heading="States exchanged with pruned models",
    about="Put the dense model's state into steps of the directory's path, and the reverse: from which depth on does the decision return?",
    place=70,
    of_steps=True,
)
