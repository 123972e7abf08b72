"""The analysis `trace`, as it is registered."""

from dataclasses import dataclass

from layercliff.analyses.registry import RegisteredAnalysis
from layercliff.choices import OptionMass
from layercliff.run.spec import AnalysisSpec, option


@dataclass(frozen=True)
class TraceSpec(AnalysisSpec):
    """What `layercliff.trace` is told."""

    option_mass: OptionMass = option(
        "last", help="Depths at which the options' share of the whole vocabulary is computed."
    )


ANALYSIS = RegisteredAnalysis(
    "trace",
    __package__,
    TraceSpec,
    heading="Where the decision forms",
    about="Find where a model decides: option scores at every depth, with the transition depth and option frequency.",
    place=None,
)
