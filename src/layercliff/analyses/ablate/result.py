"""Blocks and pairs taken out, in a run directory: ``ablate/``, with a row per ablation."""

from collections.abc import Sequence
from typing import Any

import polars as pl
from pydantic import Field, PositiveInt

from layercliff.analyses import intervention_result as probed
from layercliff.analyses.intervention_result import InterventionResult
from layercliff.interventions.ablated_blocks import HOW, How, ablated_blocks
from layercliff.run.directory import RunDirectory
from layercliff.run.stored_shapes import Settings

FOLDER = "ablate"


class AblateSettings(Settings):
    """How blocks were taken out, and how many questions the means are over."""

    how: list[How] = Field(default=[*HOW], min_length=1)
    n_select: PositiveInt


def write(run: RunDirectory, found: InterventionResult[AblateSettings]) -> None:
    """Write runs, questions, table and summary."""
    probed.write(run, FOLDER, found, table(found))


def read(run: RunDirectory) -> InterventionResult[AblateSettings] | None:
    """A finished analysis, or None."""
    return probed.read(run, FOLDER, AblateSettings, lambda about, n_layers: len(ablated_blocks(n_layers, about.how)))


def settings(manners: Sequence[How]) -> dict[str, Any]:
    """What decides the runs; nothing is said where blocks are skipped and replaced by their mean."""
    return {} if tuple(manners) == HOW else {"how": list(manners)}


def settings_of(found: InterventionResult[AblateSettings]) -> dict[str, Any]:
    """The `settings` of an analysis."""
    return settings(manners(found))


def manners(found: InterventionResult[AblateSettings]) -> tuple[How, ...]:
    """How blocks were taken out."""
    return tuple(found.settings.how)


def table(found: InterventionResult[AblateSettings]) -> pl.DataFrame:
    """One row per task and ablation: how, the first block and how many, margin and accuracy with their change.

    They are those of the last depth, with intervals.
    """
    runs = ablated_blocks(found.trace.n_layers, manners(found))
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
