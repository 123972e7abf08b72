"""The analysis `ablate`, as it is registered."""

from dataclasses import dataclass

from layercliff.analyses.registry import RegisteredAnalysis
from layercliff.run.spec import AnalysisSpec


@dataclass(frozen=True)
class AblateSpec(AnalysisSpec):
    """What `layercliff.ablate` is told."""


ANALYSIS = RegisteredAnalysis(
    "ablate",
    __package__,
    AblateSpec,
    heading="Blocks and pairs taken out",
    about="Take out every block and every adjacent pair, by skipping it and by its mean: what is each worth?",
    place=50,
)
