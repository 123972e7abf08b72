"""The JSON of a trace."""

from pydantic import Field, PositiveInt

from layercliff.choices import OptionMass
from layercliff.readout.trace import TracedTask
from layercliff.run.stored_files import Stored, Summary
from layercliff.run.stored_shapes import Cost, Settings


class TraceSettings(Settings):
    """At which depths the options' share of the whole vocabulary was computed."""

    option_mass: OptionMass


class TraceCost(Cost):
    option_mass: OptionMass
    device: str
    tokens: int
    block_passes: int


class TraceSummary(Summary):
    resamples: PositiveInt
    traced_tasks: dict[str, TracedTask] = Field(min_length=1)
    cost: TraceCost


class TraceFigures(Stored):
    """What a study reads of a trace."""

    format: str
    n_questions: int
    chance: float
    accuracy: float
    decision_margin: float
    transition_depth: int | None
    transition_depth_low: int | None
    transition_depth_high: int | None
    transition_undecided_share: float
