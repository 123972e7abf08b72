"""The analysis `patch`, as it is registered."""

from dataclasses import dataclass

from layercliff.analyses.registry import RegisteredAnalysis
from layercliff.choices import Positions
from layercliff.run.spec import AnalysisSpec, OfPath, option


@dataclass(frozen=True)
class PatchSpec(OfPath, AnalysisSpec):
    """What `layercliff.patch` is told."""

    positions: Positions = option(
        "all", help="Positions that are changed: all of a prompt, or those that are read (decision)."
    )


ANALYSIS = RegisteredAnalysis(
    "patch",
    __package__,
    PatchSpec,
    heading="States exchanged with pruned models",
    about=(
        "Put the dense model's state into steps of the directory's path, and the reverse: from which depth on does "
        "the decision return?"
    ),
    place=70,
    of_steps=True,
)
