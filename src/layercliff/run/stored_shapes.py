"""What the JSON of results looks like. Fields that a version does not know are left alone; those that came later have a default."""

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, RootModel, model_validator

from layercliff.choices import Format, OptionMass, Positions, Score, Sharing, TrainingMethod
from layercliff.models.stored_path import Count, KeptBlocks, PathFacts, StepName, StoredStep
from layercliff.run.stored_files import Stored, Summary

Loss = Annotated[tuple[float, float], Field(strict=False)]
"""Updates made, and the mean loss since the entry before; JSON has a list."""
Removed = Annotated[tuple[str, list[Count]], Field(strict=False)]
"""The kind of a set of blocks, and the blocks."""
Answer = Literal["supported", "contradicted", "undecided"]


class HowRun(Stored):
    sharing: Sharing
    rows: int
    tokens: int
    difference: float
    lost: dict[Sharing, float]


class OfTask(Stored):
    name: str
    form: Format
    source: str
    split: str
    licence: str
    left_out: list[str]
    skipped: list[str]
    agreement: HowRun | None = None


class Cost(Stored):
    seconds: float
    peak_memory_bytes: int
    versions: dict[str, str]


class TraceCost(Cost):
    option_mass: OptionMass
    device: str
    tokens: int
    block_passes: int


class TraceSummary(Summary):
    resamples: PositiveInt
    traced_tasks: dict[str, OfTask] = Field(min_length=1)
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


class CollapseOf(Stored):
    defined: bool
    step: Count | None
    low: Count | None
    high: Count | None


class PathStep(StoredStep):
    removed: list[Count]
    scores: dict[StepName, float]
    seen: dict[StepName, int] = Field(default_factory=dict)


class StabilityOf(Stored):
    collapse_steps: list[Count | None]


class CriterionWords(Stored):
    about: str
    citation: str
    kind: str


class PathSummary(PathFacts):
    steps: list[PathStep] = Field(min_length=1)  # type: ignore[assignment]
    protected: list[Count]
    n_select: Count
    n_report: Count
    criterion: CriterionWords | None = None
    race: float | None
    collapse: CollapseOf
    stability: StabilityOf | None
    traced_tasks: dict[str, OfTask] = Field(min_length=1)
    watched_tasks: dict[str, OfTask]

    @model_validator(mode="after")
    def _collapses(self) -> "PathSummary":
        ends = (self.collapse.step, self.collapse.low, self.collapse.high)
        if any(end is not None and end >= len(self.steps) for end in ends):
            raise ValueError(f"its collapse lies beyond its {len(self.steps)} steps")
        return self


class PathCost(Stored):
    seconds: float
    selection_block_passes: int
    selection_seconds: float
    wanted: dict[str, Any] = Field(default_factory=dict)
    text: str | None = None


class Repetition(Stored):
    kept: list[KeptBlocks] = Field(min_length=1)
    accuracy: list[float] = Field(min_length=1)
    chance: float
    decided: list[bool] = Field(default_factory=list)


class Repetitions(RootModel[list[Repetition]], strict=True):
    """The other walks of a path."""


class Rate(Stored):
    tokens: int
    repeats: int
    dense: float
    pruned: float
    ratio: float
    low: float
    high: float


class Estimated(Stored):
    point: float | None
    low: float | None
    high: float | None


class Perplexities(Stored):
    paragraphs: int
    tokens: int
    dense: Estimated
    pruned: Estimated
    ratio: Estimated


class Completed(Stored):
    opening: str
    dense: str
    pruned: str


class Assessed(Stored):
    kept: KeptBlocks
    n_layers: PositiveInt
    seed: int
    device: str
    threads: int
    weights_dtype: str
    parameters_dense: int
    parameters_pruned: int
    weight_bytes_dense: int
    weight_bytes_pruned: int
    prompt: Rate
    generation: Rate
    perplexity: Perplexities
    completions: list[Completed]
    repetition_dense: float
    repetition_pruned: float
    seconds: float


class PerhapsAssessed(RootModel[Assessed | None], strict=True):
    """What the recommended step was found to be, if that was looked at."""


class EvaluationCost(Cost):
    device: str
    questions: dict[str, int]
    depths: list[Count] | Literal["all"]


class Evaluation(Summary):
    asked: dict[str, OfTask] = Field(min_length=1)
    cost: EvaluationCost


class ControlsSummary(Summary):
    about: dict[str, dict[str, Any]]
    cost: Cost


class ProbedSummary(Summary):
    about: dict[str, Any]
    transition_depth: Count | None
    traced_tasks: dict[str, OfTask] = Field(min_length=1)
    cost: Cost


class NoiseAbout(Stored):
    eps: list[float] = Field(min_length=1)
    draws: PositiveInt
    positions: Positions


class StepsAbout(Stored):
    """Steps of a path, by what they keep."""

    score: Score
    steps: dict[StepName, KeptBlocks] = Field(min_length=1)


class PatchAbout(StepsAbout):
    positions: Positions


class SimilarAbout(StepsAbout):
    tokens: PositiveInt


class TextLens(Stored):
    text: str
    positions: int
    steps: int
    seed: int


class LensAbout(Stored):
    lenses: list[Literal["tuned", "probe"]] = Field(min_length=1)
    provenance: TextLens | None


class SubsetsAbout(Stored):
    m: PositiveInt
    subsets: list[Removed] = Field(min_length=1)


class SimilarSummary(Summary):
    about: SimilarAbout
    cost: Cost


class RecoverAbout(StepsAbout):
    merged: dict[StepName, Any]
    cliff: Count | None
    seeds: PositiveInt
    method: TrainingMethod
    updates: Count
    batch: PositiveInt
    rate: float
    rank: int
    distill: float


class TrainedOn(Stored):
    """What one task was trained on: `from` says whence."""

    digest: str
    n: int


class RecoverSummary(Summary):
    about: RecoverAbout
    material: dict[str, TrainedOn]
    losses: dict[StepName, list[list[Loss]]]
    traced_tasks: dict[str, OfTask] = Field(min_length=1)
    cost: Cost


class TrainingRecord(Stored):
    identity: dict[str, Any]
    losses: list[Loss]
    seconds: float


class MeasuredSummary(Summary):
    features: dict[str, float]
    margin: float
    n_select: PositiveInt
    cost: Cost


class ForetoldSummary(Stored):
    ratio: float
    low: float | None
    high: float | None
    distance: float
    farthest: float
    outside: list[str]
    source: str
    rows: int
    models: list[str]


class ClaimPart(Stored):
    what: str
    measured: float | None
    low: float | None
    high: float | None
    claimed: tuple[float | None, float | None] = Field(strict=False)
    n: int
    answer: Answer
    questions_needed: int | None = None


class ClaimOf(Stored):
    id: str
    statement: str
    rule: str
    verdict: Answer
    control: str
    reason: str
    parts: list[ClaimPart]


class ClaimsSummary(Stored):
    about: str
    family: str
    claims: list[ClaimOf] = Field(min_length=1)


class StudyCell(Stored):
    directory: str
    schedule: str
    reason: str | None


class StudySummary(Summary):
    cells: list[StudyCell]
