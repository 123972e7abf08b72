"""The analysis `similarity`, as it is registered."""

from dataclasses import dataclass

from layercliff.analyses.registry import RegisteredAnalysis
from layercliff.run.spec import AnalysisSpec, OfPath, option


@dataclass(frozen=True)
class SimilaritySpec(OfPath, AnalysisSpec):
    """What `layercliff.similarity` is told."""

    tokens: int = option(4, help="Tokens of each question that stand for all.")


ANALYSIS = RegisteredAnalysis(
    "similarity",
    __package__,
    SimilaritySpec,
    heading="Similarity of dense and pruned models",
    about=(
        "Compare states and decisions of the dense model with those of steps of the directory's path: debiased CKA "
        "of all depths."
    ),
    place=60,
    of_steps=True,
)
