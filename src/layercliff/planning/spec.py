"""What `layercliff.plan` is told."""

from dataclasses import dataclass

from layercliff.choices import OptionMass
from layercliff.run.spec import Batching, Memory, PathLength, RunSpec, option


@dataclass(frozen=True)
class PlanSpec(Memory, PathLength, Batching, RunSpec):
    """What a trace and a path are planned with."""

    option_mass: OptionMass = option(
        "last", help="Depths at which the options' share of the whole vocabulary is computed."
    )
