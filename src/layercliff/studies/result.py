"""A study in its directory: ``study.yaml``, run directories below ``cells/``, the table of cells, and what they say."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl
from pydantic import AliasChoices, Field

from layercliff import former_names
from layercliff.analyses.forecast import result as forecasts
from layercliff.analyses.trace import result as traced
from layercliff.analyses.trace.shapes import TraceFigures
from layercliff.errors import RunError
from layercliff.metrics.association import Association, associate
from layercliff.metrics.forecast import FEATURES, Judgement, judge
from layercliff.metrics.permuted_models import WithinTasks, within_tasks
from layercliff.pruning import result as pruned
from layercliff.pruning.shapes import PathCost, PathSummary
from layercliff.run.directory import RunDirectory
from layercliff.run.stored_files import Stored, StoredFolder, Summary
from layercliff.run.strict_json import plain
from layercliff.studies.grid import Cell, Grid

FILE, RESULT = "study.yaml", "study.json"
LEAST_ROWS = len(FEATURES) + 3  # cells that a rule is fitted to, at least


class StudyCell(Stored):
    directory: str
    criterion: str = Field(validation_alias=AliasChoices("criterion", "schedule"))
    reason: str | None


class StudySummary(Summary):
    cells: list[StudyCell]


@former_names.attributes(schedule="criterion")
@dataclass(frozen=True)
class Row:
    """What one cell came to.

    Fields are None where a cell failed, or where there is nothing to tell.

    Attributes:
        model: The model.
        task: The task.
        panel: The format that the study asked for.
        criterion: What the path was chosen by.
        seed: The seed.
        directory: The run directory, below that of the study.
        reason: Why the cell failed.
        format: The format it was asked in.
        n_questions: Questions of the trace.
        n_report: Questions that the path was measured on.
        n_layers: L, the number of blocks.
        chance: Share that is right by chance.
        accuracy: Share of right answers of the dense model.
        margin: Mean Decision Margin of the dense model at the last depth.
        transition: T, a depth 0..L. None where undecided.
        transition_low: Lower end of its interval.
        transition_high: Upper end.
        undecided_share: Share of resamples without a transition.
        defined: Whether the dense model is above chance. Without that there is no collapse.
        collapse: k* in removed blocks. None where censored. Of ``random`` the median of the draws, which may end in a
            half.
        collapse_low: Lower end of its interval; of ``random`` the least of the draws.
        collapse_high: Upper end; of ``random`` the greatest.
        collapse_beyond: Removed blocks that a censored collapse lies beyond.
        first_crossing: First step below the line of k*, in removed blocks, of the first path.
        retained: Accuracy above chance that it retains, in the mean over removed blocks.
        retained_area: The same as an area, in shares of L.
        removed_at_most: Blocks removed at the path's last step.
        selection_block_passes: Block passes that choosing took.
        features: What forecasts are made of. None where not measured.
    """

    model: str
    task: str
    panel: str
    criterion: str
    seed: int
    directory: str
    reason: str | None = None
    format: str | None = None
    n_questions: int | None = None
    n_report: int | None = None
    n_layers: int | None = None
    chance: float | None = None
    accuracy: float | None = None
    margin: float | None = None
    transition: int | None = None
    transition_low: int | None = None
    transition_high: int | None = None
    undecided_share: float | None = None
    defined: bool = False
    collapse: int | float | None = None
    collapse_low: int | None = None
    collapse_high: int | None = None
    collapse_beyond: int | float | None = None
    first_crossing: int | None = None
    retained: float | None = None
    retained_area: float | None = None
    removed_at_most: int | None = None
    selection_block_passes: int | None = None
    features: Mapping[str, float] | None = None

    @property
    def finished(self) -> bool:
        """Whether the cell was run to its end."""
        return self.reason is None

    @property
    def ratio(self) -> float | None:
        """k*/L, the critical ratio."""
        return None if self.collapse is None or not self.n_layers else self.collapse / self.n_layers

    @property
    def place(self) -> tuple[float, float, bool] | None:
        """T/L (infinite: undecided), k*/L or what it lies beyond, and whether this is censored; None where there is no
        collapse to speak of."""
        blocks = self.collapse_beyond if self.collapse is None else self.collapse
        if not self.finished or not self.defined or not self.n_layers or blocks is None:
            return None
        depth = np.inf if self.transition is None else self.transition / self.n_layers
        return depth, blocks / self.n_layers, self.collapse is None


@dataclass(frozen=True)
class Point:
    """A model on a task: the median over seeds.

    Attributes:
        model: The model.
        task: The task.
        transition: T/L. Infinite where undecided.
        ratio: k*/L, or what it lies beyond.
        censored: Whether it lies beyond that.
        seeds: Number of seeds.
    """

    model: str
    task: str
    transition: float
    ratio: float
    censored: bool
    seeds: int


@former_names.attributes(schedule="criterion")
@dataclass(frozen=True)
class Panel:
    """One figure of transition against critical ratio.

    Attributes:
        format: The format of its cells.
        criterion: What their paths were chosen by.
        points: One per model and task.
        association: Of T/L and k*/L.
        within: The same within tasks, models permuted whole. Claim C8 is judged by it.
    """

    format: str
    criterion: str
    points: tuple[Point, ...]
    association: Association
    within: WithinTasks


@dataclass(frozen=True)
class Studied:
    """A finished study.

    Attributes:
        grid: The study file.
        rows: One per cell.
        panels: One per format and criterion.
        judgements: What a rule that forecasts k*/L is worth on left-out models and tasks.
        unjudged: Why there are no judgements.
    """

    grid: Grid
    rows: tuple[Row, ...]
    panels: tuple[Panel, ...]
    judgements: tuple[Judgement, ...]
    unjudged: str | None

    @property
    def failed(self) -> tuple[Row, ...]:
        """Cells that could not be run."""
        return tuple(row for row in self.rows if not row.finished)


def row(study: Path, cell: Cell) -> Row:
    """A cell as its run directory tells it; `reason` says so where it is not finished, or damaged. Nothing is
    computed."""
    about = unfinished(cell)
    try:
        return _told(about, study, cell)
    except RunError as error:
        return replace(about, reason=str(error))


def unfinished(cell: Cell, reason: str | None = None) -> Row:
    """A cell of which nothing is known but perhaps the reason."""
    return Row(cell.model, cell.asking.task, cell.panel, cell.criterion, cell.seed, cell.directory, reason)


def _told(about: Row, study: Path, cell: Cell) -> Row:
    run = RunDirectory(study / cell.directory)
    folder = pruned.stored(run, cell.criterion)
    trace, path = traced.stored(run).content(TraceFigures), folder.content(PathSummary)
    if trace is None or path is None:
        return replace(about, reason="It has not been run to its end: give the same command again.")
    blocks = [path.n_layers - len(step.kept) for step in path.steps]
    found = path.collapse
    low, point, high = (None if end is None else blocks[end] for end in (found.low, found.step, found.high))
    beyond: int | float | None = blocks[-1] if found.defined and point is None else None
    collapse: int | float | None = point
    if path.stability is not None and found.defined:
        low, collapse, high, beyond = _drawn(path.stability.collapse_steps, blocks[-1])
    cost = folder.beside("cost", PathCost)
    return replace(
        about,
        format=trace.format,
        n_questions=trace.n_questions,
        n_report=path.n_report,
        n_layers=path.n_layers,
        chance=trace.chance,
        accuracy=trace.accuracy,
        margin=trace.decision_margin,
        transition=trace.transition_depth,
        transition_low=trace.transition_depth_low,
        transition_high=trace.transition_depth_high,
        undecided_share=trace.transition_undecided_share,
        defined=found.defined,
        collapse=collapse,
        collapse_low=low,
        collapse_high=high,
        collapse_beyond=beyond,
        first_crossing=None if found.first_crossing is None else blocks[found.first_crossing],
        retained=found.retained,
        retained_area=found.retained_area,
        removed_at_most=blocks[-1],
        features=forecasts.features(run),
        selection_block_passes=cost.selection_block_passes if cost else None,
    )


def _drawn(
    steps: Sequence[int | None], last: int
) -> tuple[int | None, int | float | None, int | None, int | float | None]:
    """The least, the median and the greatest collapse step of draws, each of which removes a block a step, and what
    the median lies beyond where it is censored. Draws that do not collapse (None) go on at least to `last`, where the
    first one ends."""
    known = [step for step in steps if step is not None]
    middle, censored = _median([(last if step is None else step, step is None) for step in steps])
    low, high = min(known, default=None), None if None in steps else max(known)
    return (low, None, high, middle) if censored else (low, middle, high, None)


def _median(values: Sequence[tuple[int | float, bool]]) -> tuple[int | float, bool]:
    """The median of values of which the censored (True) are greater than they say, and count as greater than all
    others; where it is censored itself, what it lies beyond."""
    middle = median(math.inf if censored else value for value, censored in values)
    return (median(value for value, _ in values), True) if math.isinf(middle) else (middle, False)


def gathered(grid: Grid, rows: Sequence[Row], seed: int = 0) -> Studied:
    """What the cells say together."""
    panels = []
    names = dict.fromkeys((r.panel, r.criterion) for r in rows)
    for panel, criterion in names:
        own = [r for r in rows if (r.panel, r.criterion) == (panel, criterion)]
        points = tuple(_points(own))
        x, y = np.array([p.transition for p in points]), np.array([p.ratio for p in points])
        censored = np.array([p.censored for p in points], bool)
        found = associate(x, y, censored, [p.model for p in points], seed=seed)
        panels.append(Panel(panel, criterion, points, found, _within(own, points, seed)))
    judgements, why = judged(training(rows))
    return Studied(grid, tuple(rows), tuple(panels), judgements, why)


def _points(rows: Sequence[Row]) -> Iterator[Point]:
    for model, task in dict.fromkeys((r.model, r.task) for r in rows):
        own = [r.place for r in rows if (r.model, r.task) == (model, task)]
        places = [place for place in own if place is not None]
        if places:
            ratio, censored = _median([place[1:] for place in places])
            yield Point(model, task, median(place[0] for place in places), ratio, censored, len(places))


def _within(rows: Sequence[Row], points: Sequence[Point], seed: int) -> WithinTasks:
    """T/L against k*/L within tasks. A cell that failed, is undecided, censored or without a collapse is not known."""
    models, tasks = (list(dict.fromkeys(names)) for names in ([r.model for r in rows], [r.task for r in rows]))
    known = {(p.model, p.task): (p.transition, np.nan if p.censored else p.ratio) for p in points}
    cells = np.array([[known.get((model, task), (np.nan, np.nan)) for task in tasks] for model in models])
    return within_tasks(cells[..., 0], cells[..., 1], models, tasks, seed)


def fitted_to(rows: Sequence[Row]) -> list[Row]:
    """The cells that a rule can be fitted to: paths by ``margin`` with a collapse on them, and features measured."""
    return [r for r in rows if r.criterion == "margin" and r.ratio is not None and r.features]


def training(rows: Sequence[Row]) -> pl.DataFrame:
    """The table of `fitted_to`."""
    schema = {"model": pl.String, "task": pl.String, "format": pl.String, "seed": pl.Int64, "n_layers": pl.Int64}
    schema |= dict.fromkeys((*FEATURES, forecasts.TARGET), pl.Float64)
    return pl.DataFrame(
        [
            (r.model, r.task, r.format, r.seed, r.n_layers, *((r.features or {})[name] for name in FEATURES), r.ratio)
            for r in fitted_to(rows)
        ],
        schema=schema,
        orient="row",
    )


def judged(table: pl.DataFrame) -> tuple[tuple[Judgement, ...], str | None]:
    """What a rule is worth on models and on tasks left out, or why that cannot be said."""
    n_models, n_tasks = table["model"].n_unique(), table["task"].n_unique()
    if len(table) < LEAST_ROWS or n_models < 2:
        return (), (
            f"No rule is judged: {len(table)} cells of {n_models} models have both a "
            "collapse on their path by margin and the features "
            f"(`forecast: true`), and a rule takes at least {LEAST_ROWS} of 2 models."
        )
    x, y = table.select(*FEATURES).to_numpy(), table[forecasts.TARGET].to_numpy()
    models = table["model"].to_list()
    kinds = [("model", models)] + ([("task", table["task"].to_list())] if n_tasks > 1 else [])
    return tuple(judge(x, y, models, kind, groups) for kind, groups in kinds), None


def write(run: RunDirectory, studied: Studied, cost: Mapping[str, Any]) -> None:
    """Write the table of cells, the rows that a rule is fitted to, and ``study.json``, which comes last."""
    folder = stored(run.path)
    folder.write_table("cells", cells_table(studied.rows))
    folder.write_table("training", training(studied.rows))
    folder.finish(content(studied) | {"cost": dict(cost)})


def stored(path: Path) -> StoredFolder:
    """The folder of a study."""
    return StoredFolder(path, RESULT, f"layercliff study FILE --out {path}")


def content(studied: Studied) -> dict[str, Any]:
    """The content of ``study.json``."""
    judgements = [
        asdict(j) | {name: getattr(j, name).tolist() for name in ("predicted", "low", "high")}
        for j in studied.judgements
    ]
    found = {
        "grid": studied.grid.model_dump(mode="json"),
        "cells": [_row_content(r) for r in studied.rows],
        "panels": [asdict(p) | {"falls": p.within.falls, "schedule": p.criterion} for p in studied.panels],
        "judgements": judgements,
        "unjudged": studied.unjudged,
    }
    return dict(plain(found))


def _row_content(row: Row) -> dict[str, Any]:
    """A row as it is stored. The criterion is also there by its name in version 0.1.0."""
    return asdict(row) | {"critical_ratio": row.ratio, "schedule": row.criterion}


def cells_table(rows: Sequence[Row]) -> pl.DataFrame:
    """One row per cell, finished or not; features are columns of their own."""
    about = [_row_content(r) for r in rows]
    flat = [
        {name: value for name, value in one.items() if name != "features"}
        | {f"feature_{name}": (r.features or {}).get(name) for name in FEATURES}
        for one, r in zip(about, rows, strict=True)
    ]
    return pl.DataFrame(flat, infer_schema_length=None)


def is_study(path: Path) -> bool:
    """Whether a directory is a study's."""
    return (path / FILE).exists()


def read(path: Path) -> Studied:
    """A study from its directory, as far as its cells are finished. Raises `RunError` for a directory that is none."""
    if not is_study(path):
        raise RunError(f"{path} is no study: it holds no {FILE}; make one with `layercliff study FILE --out {path}`.")
    grid, kept = Grid.read(path / FILE), stored(path).content(StudySummary)
    reasons = {(c.directory, c.criterion): c.reason for c in kept.cells} if kept else {}
    rows = [row(path, cell) for cell in grid.cells()]
    told = [
        replace(r, reason=reasons.get((r.directory, r.criterion)) or r.reason) if not r.finished else r for r in rows
    ]
    return gathered(grid, told)
