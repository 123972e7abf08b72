"""Sets of blocks removed, in a run directory: ``claims/subsets/``, with a row per set."""

import numpy as np
import polars as pl
from jaxtyping import Float
from pydantic import Field, PositiveInt

from layercliff.analyses import intervention_result as probed
from layercliff.analyses.intervention_result import InterventionResult
from layercliff.interventions.subsets import Subset
from layercliff.models.stored_path import Count
from layercliff.run.directory import RunDirectory
from layercliff.run.stored_shapes import Settings

FOLDER = "claims/subsets"

Removed = tuple[str, list[Count]]
"""The kind of a set of blocks, and the blocks."""


class SubsetSettings(Settings):
    """The depth T that parts the phases, how blocks were chosen (`race`) and drawn, `m` blocks at a time, and the
    sets."""

    transition: int | None = None
    race: float | None = None
    draws: str | None = None
    m: PositiveInt
    subsets: list[Removed] = Field(min_length=1)


def write(run: RunDirectory, found: InterventionResult[SubsetSettings]) -> None:
    """Write runs, questions, table and summary."""
    probed.write(run, FOLDER, found, table(found))


def read(run: RunDirectory) -> InterventionResult[SubsetSettings] | None:
    """A finished analysis, or None."""
    return probed.read(run, FOLDER, SubsetSettings, lambda about, _: len(about.subsets))


def subsets(found: InterventionResult[SubsetSettings]) -> list[Subset]:
    """The blocks that were removed, run by run."""
    return [Subset(kind, tuple(removed)) for kind, removed in found.settings.subsets]


def right_without(found: InterventionResult[SubsetSettings], kind: str) -> Float[np.ndarray, "subset question"]:
    """Right answers without each set of blocks of a kind."""
    right: np.ndarray = found.decisions[1][[subset.kind == kind for subset in subsets(found)]]
    return right


def table(found: InterventionResult[SubsetSettings]) -> pl.DataFrame:
    """One row per set: margin and accuracy at the last depth and their change, with intervals."""
    margin, correct = found.decisions
    ((_, keep),) = found.parts()
    runs = subsets(found)
    about = {"kind": [run.kind for run in runs], "removed": ["-".join(map(str, run.removed)) for run in runs]}
    return pl.DataFrame({**about, "n": int(keep.sum()), **probed.columns(found.effects(keep, margin, correct))})
