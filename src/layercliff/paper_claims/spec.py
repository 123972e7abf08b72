"""What `layercliff.claims` is told."""

from dataclasses import dataclass

from layercliff.run.spec import AnalysisSpec, option


@dataclass(frozen=True)
class ClaimsSpec(AnalysisSpec):
    """The claims are judged in the run directory `out`."""

    recover: bool = option(
        False,
        names=("--recover",),
        help="Train the dense model and steps around the collapse, for C7; needs the extra recover.",
    )
