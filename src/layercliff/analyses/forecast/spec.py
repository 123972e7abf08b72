"""The analysis `forecast`, as it is registered."""

from dataclasses import dataclass
from pathlib import Path

from layercliff.analyses.registry import RegisteredAnalysis
from layercliff.run.spec import AnalysisSpec, Memory, option


@dataclass(frozen=True)
class ForecastSpec(Memory, AnalysisSpec):
    """What `layercliff.forecast` is told."""

    study: str | Path | None = option(
        None,
        kind=Path | None,
        help="A study's directory to fit the rule to; default: the rule that ships with layercliff.",
    )


ANALYSIS = RegisteredAnalysis(
    "forecast",
    __package__,
    ForecastSpec,
    heading="The collapse, forecast",
    about="Say where a model will collapse before anything is pruned, from the dense model alone, with an interval.",
    place=10,
)
