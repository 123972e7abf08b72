"""A trace beside its controls, in a run directory: ``controls/``, with tables of curves, of ends and of plain text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from layercliff.analyses.trace import result as traced
from layercliff.metrics.controls import ControlOutcome
from layercliff.run.directory import RunDirectory
from layercliff.run.stored_files import StoredFolder, Summary
from layercliff.run.stored_shapes import Cost, Settings
from layercliff.run.subject import Subject

FOLDER = "controls"
SUMMARY = f"{FOLDER}/summary.json"
MODEL = "model"
"""What the rows of the model itself are called."""

TABLES = ("curves", "table", "text")

_ENDS = ("", "_low", "_high")
_VALUES = dict.fromkeys((f"{name}{end}" for name in ("margin", "accuracy") for end in _ENDS), pl.Float64)
_DRAWS = dict.fromkeys(
    (f"{name}_draw_{end}" for name in ("margin", "accuracy") for end in ("least", "greatest")), pl.Float64
)
NULLABLE = tuple(f"transition_depth{end}" for end in _ENDS)
CURVES = {"control": pl.String, "task": pl.String, "depth": pl.Int64, **_VALUES, **_DRAWS, "chance": pl.Float64}
TABLE = {
    "control": pl.String,
    "task": pl.String,
    "n": pl.Int64,
    "draws": pl.Int64,
    "chance": pl.Float64,
    **dict.fromkeys(NULLABLE, pl.Int64),
    "transition_undecided_share": pl.Float64,
    "decided_draws": pl.Float64,
    "jump_block": pl.Int64,
    "jump_rise": pl.Float64,
    "jump_sharpness": pl.Float64,
    **_VALUES,
}
TEXT = {
    "where": pl.String,
    "index": pl.Int64,
    "removed": pl.Int64,
    "paragraphs": pl.Int64,
    "tokens": pl.Int64,
} | dict.fromkeys((f"{name}{end}" for name in ("loss", "rise") for end in _ENDS), pl.Float64)
"""The columns of the tables, which are read back."""


class ControlSettings(Settings):
    """How one control was made: how often it was drawn.

    Of plain text: `text` is its digest; of each passage's `tokens` the last `scored` are scored. It was read along the
    `path` of this criterion, whose steps have the digest `steps`.
    """

    draws: int | None = None
    text: str | None = None
    tokens: int | None = None
    scored: int | None = None
    path: str | None = None
    steps: str | None = None


class ControlsSummary(Summary):
    about: dict[str, ControlSettings]
    cost: Cost


@dataclass(frozen=True)
class Controlled:
    """The model and its controls, with plain text where that was asked for.

    Attributes:
        subject: What the run is about.
        curves: A row per control (and ``model``), task and depth: margin and accuracy with intervals over questions,
            and the least and greatest of a single draw.
        table: A row per control and task: T with its interval, the share of undecided resamples and of draws that
            decide (`ControlOutcome.decided`), and the largest rise. Margin and accuracy are those of the last depth.
        text: The loss per token (nats) at every ``depth``, and after every ``step`` of a path with ``removed`` blocks
            gone. Empty where that was not asked for.
        settings: How each control was made.
        cost: Machine, block passes, seconds, memory and versions.
    """

    subject: Subject
    curves: pl.DataFrame
    table: pl.DataFrame
    text: pl.DataFrame
    settings: Mapping[str, ControlSettings]
    cost: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The task, or ``joint``."""
        return self.subject.tasks[0].name if len(self.subject.tasks) == 1 else "joint"

    def transition(self, control: str, task: str) -> int | None:
        """T of a control, or of ``model``.

        Args:
            control: As the tables call it.
            task: A task, or ``joint``.

        Returns:
            A depth. None where it is undecided, or in more than 2.5 % of resamples.
        """
        row = self.table.row(by_predicate=(pl.col("control") == control) & (pl.col("task") == task), named=True)
        depth: int | None = row["transition_depth"]
        return None if row["transition_depth_high"] is None else depth

    def caption(self, task: str) -> str:
        """What a figure shows, in a line: model, task, split, n, format, dtype and seed.

        Args:
            task: A task, or ``joint``.

        Returns:
            The line.
        """
        row = self.table.row(by_predicate=(pl.col("control") == MODEL) & (pl.col("task") == task), named=True)
        return traced.described(self.subject, task, f"n = {row['n']}")


def curve_rows(control: str, task: str, found: ControlOutcome) -> pl.DataFrame:
    """The rows of one control and task among `Controlled.curves`."""
    ends = {"": "point", "_low": "low", "_high": "high"}
    values = {
        f"{name}{end}": getattr(getattr(found, name), side)
        for name in ("margin", "accuracy")
        for end, side in ends.items()
    }
    for name, draws in (("margin", found.margins), ("accuracy", found.accuracies)):
        values |= {f"{name}_draw_least": draws.min(0), f"{name}_draw_greatest": draws.max(0)}
    about = {"control": control, "task": task, "depth": range(len(found.margin.point))}
    return pl.DataFrame({**about, **values, "chance": found.chance})


def table_row(control: str, task: str, found: ControlOutcome) -> pl.DataFrame:
    """The row of one control and task in `Controlled.table`."""
    transition, jump = found.transition, found.jump
    row: dict[str, Any] = {
        "control": control,
        "task": task,
        "n": found.n_questions,
        "draws": found.draws,
        "chance": found.chance,
        "transition_depth": transition.depth,
        "transition_depth_low": _whole(transition.low),
        "transition_depth_high": _whole(transition.high),
        "transition_undecided_share": transition.undecided_share,
        "decided_draws": found.decided,
        "jump_block": jump.block,
        "jump_rise": jump.rise,
        "jump_sharpness": jump.sharpness,
    }
    for name in ("margin", "accuracy"):
        values = getattr(found, name)
        row |= {name: values.point[-1], f"{name}_low": values.low[-1], f"{name}_high": values.high[-1]}
    depths = dict.fromkeys(("transition_depth", "transition_depth_low", "transition_depth_high"), pl.Int64)
    return pl.DataFrame([row], schema_overrides=depths)


def _whole(value: float) -> int | None:
    return int(value) if np.isfinite(value) else None


def write(run: RunDirectory, found: Controlled) -> None:
    """Write tables and summary; the summary comes last and says that the rest is complete."""
    folder = stored(run)
    for name in TABLES:
        folder.write_table(name, getattr(found, name))
    content = {
        "model": found.subject.model,
        "revision": found.subject.revision,
        "about": {name: of.raw() for name, of in found.settings.items()},
    }
    folder.finish(content | {"table": found.table.to_dicts(), "cost": dict(found.cost)})


def stored(run: RunDirectory) -> StoredFolder:
    """The folder of controls."""
    return run.folder(FOLDER, "summary.json", "layercliff controls")


def read(run: RunDirectory) -> Controlled | None:
    """Finished controls, or None."""
    subject, folder = run.subject(), stored(run)
    content = folder.content(ControlsSummary)
    if subject is None or content is None:
        return None
    curves, table = folder.table("curves", CURVES), folder.table("table", TABLE, NULLABLE)
    text = folder.table("text", TEXT if "plain-text" in content.about else {})
    named, drawn = (set(rows.select("control", "task").iter_rows()) for rows in (table, curves))
    twice = len(named) < len(table) or curves.select("control", "task", "depth").is_duplicated().any()
    known = {MODEL, *(name for name in content.about if name != "plain-text")}
    if (
        twice
        or named != drawn
        or not {name for name, _ in named} <= known
        or not {(MODEL, t.name) for t in subject.tasks} <= named
    ):
        folder.refuse("table.parquet", "it has not the controls that were made, each with its curves")
    return Controlled(subject, curves, table, text, content.about, content.cost.raw())
