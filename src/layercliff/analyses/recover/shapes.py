"""The JSON of trained steps."""

from typing import Any

from pydantic import Field, PositiveInt

from layercliff.choices import Material, TrainingMethod
from layercliff.models.stored_path import Count, StepName
from layercliff.pruning.shapes import StepSettings
from layercliff.readout.trace import TracedTask
from layercliff.run.stored_files import Stored, Summary
from layercliff.run.stored_shapes import Cost

Entry = tuple[float, float]
"""Updates made, and the mean loss since the entry before."""


class RecoverSettings(StepSettings):
    """The steps that were trained, fingerprints of their merged blocks, where the path's collapse lies, and how was
    trained. `material` is what was asked for, None for whatever there is."""

    merged: dict[StepName, Any]
    cliff: Count | None
    seeds: PositiveInt
    material: Material | None = None
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
    about: RecoverSettings
    material: dict[str, TrainedOn]
    losses: dict[StepName, list[list[Entry]]]
    traced_tasks: dict[str, TracedTask] = Field(min_length=1)
    cost: Cost


class TrainingRecord(Stored):
    identity: dict[str, Any]
    losses: list[Entry]
    seconds: float
