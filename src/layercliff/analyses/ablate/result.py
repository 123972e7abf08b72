"""Blocks and pairs taken out, in a run directory: ``ablate/``, with a row per removal."""

import polars as pl

from layercliff.analyses import intervention_result as probed
from layercliff.analyses.intervention_result import Probed
from layercliff.interventions.removals import removals
from layercliff.run.directory import RunDirectory
from layercliff.run.stored_files import Stored

FOLDER = "ablate"


def write(run: RunDirectory, found: Probed) -> None:
    """Write runs, questions, table and summary."""
    probed.write(run, FOLDER, found, table(found))


def read(run: RunDirectory) -> Probed | None:
    """A finished analysis, or None."""
    return probed.read(run, FOLDER, Stored, lambda _, n_layers: len(removals(n_layers)))


def table(found: Probed) -> pl.DataFrame:
    """One row per task and removal: how, the first block and how many, margin and accuracy at the last depth and their change, with intervals."""
    runs = removals(found.trace.n_layers)
    about = {name: [getattr(run, name) for run in runs] for name in ("how", "first", "size")}
    about |= {"blocks": ["-".join(map(str, run.blocks)) for run in runs]}
    margin, correct = found.decisions
    frames = [
        pl.DataFrame(
            {"task": name, **about, "n": int(keep.sum()), **probed.columns(found.effects(keep, margin, correct))}
        )
        for name, keep in found.parts()
    ]
    return pl.concat(frames)
