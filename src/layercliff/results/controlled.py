"""A trace beside its controls, in a run directory: ``controls/``, with a row per control and depth, a row per control, and the loss on plain text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from layercliff import cache
from layercliff.config import Subject
from layercliff.errors import RunError
from layercliff.metrics.controls import Outcome
from layercliff.results import traced
from layercliff.store import RunDirectory

FOLDER = "controls"
SUMMARY = f"{FOLDER}/summary.json"
MODEL = "model"
"""What the rows of the model itself are called."""

TABLES = ("curves", "table", "text")


@dataclass(frozen=True)
class Controlled:
    """`curves` has a row per control (and ``model``), task and depth: margin and accuracy with their intervals over questions, and the least and greatest of a single draw. `table` has a row per control and task: T
    with its interval, the share of undecided resamples and of draws that decide (`Outcome.decided`), the largest rise, and margin and accuracy at the last depth. `text` has the loss per
    token (nats) at every ``depth`` of the model and after every ``step`` of a path, `removed` blocks gone; it is empty where that was not asked for. `about` says how
    each control was made."""

    subject: Subject
    curves: pl.DataFrame
    table: pl.DataFrame
    text: pl.DataFrame
    about: Mapping[str, Any]
    cost: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The task, or ``joint``."""
        return self.subject.tasks[0].name if len(self.subject.tasks) == 1 else "joint"

    def transition(self, control: str, task: str) -> int | None:
        """T of a control, or of ``model``; None where it is undecided, or in more than 2.5 % of resamples."""
        row = self.table.row(by_predicate=(pl.col("control") == control) & (pl.col("task") == task), named=True)
        depth: int | None = row["transition_depth"]
        return None if row["transition_depth_high"] is None else depth

    def caption(self, task: str) -> str:
        """Model, task, split, n, format, dtype and seed in a line."""
        row = self.table.row(by_predicate=(pl.col("control") == MODEL) & (pl.col("task") == task), named=True)
        return traced.described(self.subject, task, f"n = {row['n']}")


def curve_rows(control: str, task: str, found: Outcome) -> pl.DataFrame:
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


def table_row(control: str, task: str, found: Outcome) -> pl.DataFrame:
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
    for name in TABLES:
        with cache.whole_file(run.path / FOLDER / f"{name}.parquet") as partial:
            getattr(found, name).write_parquet(partial)
    content = {"model": found.subject.model, "revision": found.subject.revision, "about": dict(found.about)}
    run.write_json(SUMMARY, content | {"table": found.table.to_dicts(), "cost": dict(found.cost)})


def read(run: RunDirectory) -> Controlled | None:
    """Finished controls, or None."""
    subject, content = run.subject(), run.read_json(SUMMARY)
    if subject is None or content is None:
        return None
    folder = run.path / FOLDER
    try:
        curves, table, text = (pl.read_parquet(folder / f"{name}.parquet") for name in TABLES)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RunError(f"{folder} is incomplete ({error}): remove it and run `layercliff controls` again.") from error
    return Controlled(subject, curves, table, text, content["about"], content["cost"])
