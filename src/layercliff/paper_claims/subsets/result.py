"""Sets of blocks removed, in a run directory: ``claims/subsets/``, with a row per set."""

import polars as pl

from layercliff.analyses import intervention_result as probed
from layercliff.analyses.intervention_result import Probed
from layercliff.interventions.subsets import Subset
from layercliff.run.directory import RunDirectory
from layercliff.run.stored_shapes import SubsetsAbout

FOLDER = "claims/subsets"


def write(run: RunDirectory, found: Probed) -> None:
    """Write runs, questions, table and summary."""
    probed.write(run, FOLDER, found, table(found))


def read(run: RunDirectory) -> Probed | None:
    """A finished analysis, or None."""
    return probed.read(run, FOLDER, SubsetsAbout, lambda about, _: len(about.subsets))


def subsets(found: Probed) -> list[Subset]:
    """The blocks that were removed, run by run."""
    return [Subset(kind, tuple(removed)) for kind, removed in found.about["subsets"]]


def table(found: Probed) -> pl.DataFrame:
    """One row per set: margin and accuracy at the last depth and their change, with intervals."""
    margin, correct = found.decisions
    ((_, keep),) = found.parts()
    runs = subsets(found)
    about = {"kind": [run.kind for run in runs], "removed": ["-".join(map(str, run.removed)) for run in runs]}
    return pl.DataFrame({**about, "n": int(keep.sum()), **probed.columns(found.effects(keep, margin, correct))})
