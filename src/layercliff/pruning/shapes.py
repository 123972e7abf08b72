"""The JSON of a pruning path."""

from typing import Any

from pydantic import AliasChoices, Field, RootModel, model_validator

from layercliff import former_names
from layercliff.models.stored_path import Count, KeptBlocks, PathFacts, StepName, StoredStep
from layercliff.pruning.assessment import Assessment
from layercliff.pruning.criterion import NAME, Description
from layercliff.pruning.repeats import PathRepeat
from layercliff.readout.trace import TracedTask
from layercliff.run.stored_files import Stored
from layercliff.run.stored_shapes import Settings


class PruneSettings(Settings):
    """What a path was asked for: its length, and what decides its blocks.

    `watch` names tasks with the digest of their questions. `text` is the digest of the text that was read.
    """

    remove: Count | None = None
    to_ratio: float | None = None
    protect: list[Count] = Field(default_factory=list)
    watch: list[str] = Field(default_factory=list)
    splits: Count = 1
    race: float | None = None
    text: str | None = None
    draws: Count | None = None
    within: list[Count] | None = None
    assess: bool = False


@former_names.attributes(score="criterion")
class StepSettings(Settings):
    """The steps of a path that an analysis looked at, by the blocks they keep."""

    criterion: str = Field(pattern=rf"^{NAME.pattern}$", validation_alias=AliasChoices("criterion", "score"))
    steps: dict[StepName, KeptBlocks] = Field(min_length=1)


class CollapseOf(Stored):
    defined: bool
    step: Count | None
    low: Count | None
    high: Count | None
    first_crossing: Count | None = None
    first_crossing_low: Count | None = None
    first_crossing_high: Count | None = None
    retained: float | None = None
    retained_low: float | None = None
    retained_high: float | None = None
    retained_area: float | None = None
    retained_area_low: float | None = None
    retained_area_high: float | None = None


class PathStep(StoredStep):
    removed: list[Count]
    scores: dict[StepName, float]
    seen: dict[StepName, int] = Field(default_factory=dict)


class StabilityOf(Stored):
    collapse_steps: list[Count | None]


class PathSummary(PathFacts):
    steps: list[PathStep] = Field(min_length=1)  # type: ignore[assignment]
    protected: list[Count]
    n_select: Count
    n_report: Count
    criterion: Description | None = None
    race: float | None
    collapse: CollapseOf
    stability: StabilityOf | None
    traced_tasks: dict[str, TracedTask] = Field(min_length=1)
    watched_tasks: dict[str, TracedTask]

    @model_validator(mode="after")
    def _collapses(self) -> "PathSummary":
        ends = (self.collapse.step, self.collapse.low, self.collapse.high)
        if any(end is not None and end >= len(self.steps) for end in ends):
            raise ValueError(f"its collapse lies beyond its {len(self.steps)} steps")
        return self


class PathCost(Stored):
    """What a path took. Some fields that are no cost lie in the same file.

    `wanted` are its settings. `text` names the text that was read, `stay` says which blocks have to stay, and
    `not_assessed` why the recommended step was not looked at.
    """

    seconds: float
    selection_block_passes: int
    selection_seconds: float
    wanted: PruneSettings | None = None
    text: str | None = None
    stay: str | None = None
    not_assessed: str | None = None


class Repetitions(RootModel[list[PathRepeat]], strict=True):
    """The other walks of a path."""

    @model_validator(mode="after")
    def _whole(self) -> "Repetitions":
        if any(not len(one.kept) == len(one.accuracy) > 0 or not all(one.kept) for one in self.root):
            raise ValueError("a repetition has not an accuracy for each step")
        return self


class PerhapsAssessed(RootModel[dict[str, Any] | None], strict=True):
    """What the recommended step was found to be, if that was looked at."""

    @property
    def assessment(self) -> Assessment | None:
        return Assessment.from_dict(self.root) if self.root else None

    @model_validator(mode="after")
    def _is_one(self) -> "PerhapsAssessed":
        _ = self.assessment
        return self
