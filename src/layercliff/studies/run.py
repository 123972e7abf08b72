"""A study: every model on every task, pruned by every criterion, and what all of that says together."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from layercliff import faults, machine
from layercliff.analyses.forecast import result as forecasts
from layercliff.analyses.forecast.run import measure
from layercliff.analyses.forecast.spec import ForecastSpec
from layercliff.analyses.trace import result as traced
from layercliff.analyses.trace.run import trace
from layercliff.analyses.trace.spec import TraceSpec
from layercliff.errors import LayercliffError, RunError
from layercliff.models.lazy import LazyModel
from layercliff.progress import Note, Report, mute, silent
from layercliff.pruning import result as pruned
from layercliff.pruning.criterion import named
from layercliff.pruning.run import prune
from layercliff.report import page
from layercliff.run.directory import RunDirectory
from layercliff.run.verb import no_pages
from layercliff.studies import page as study_page
from layercliff.studies import result as studied
from layercliff.studies.grid import Cell, Grid
from layercliff.studies.result import Row, Studied


def study(
    file: str | Path | Mapping[str, Any] | Grid, *, out: str | Path, report: Report = silent, note: Note = mute
) -> Studied:
    """Run every cell of a study as an ordinary run directory below ``DIR/cells/``.

    Transition and critical ratio of all cells are put together. A cell is a trace and a path (`layercliff.prune`).
    Unless ``forecast`` is off, it also holds what forecasts the collapse point. What is finished is read, so the same
    command goes on after an interruption. A cell that cannot be run is listed with the reason, and the others go on.
    Results lie in ``DIR/study.json``, ``DIR/cells.parquet`` and ``DIR/report.html``.

    Args:
        file: A study file, or its content.
        out: The directory, DIR.
        report: Is told of progress.
        note: Is told of anything unusual.

    Returns:
        All cells. `failed` lists those that cannot be run.

    Raises:
        RunError: For a study file or a directory that cannot be used.
    """
    begin = time.perf_counter()
    grid = file if isinstance(file, Grid) else Grid.of(file) if isinstance(file, Mapping) else Grid.read(Path(file))
    run = RunDirectory(Path(out))
    with run.lock():
        _claim(run, grid)
        cells = list(grid.cells())
        rows: list[Row] = []
        held: dict[str, LazyModel] = {}  # of one model at a time
        for number, cell in enumerate(cells):
            report("cells of the study", number, len(cells))
            if cell.model not in held:
                held = {cell.model: LazyModel(cell.model, grid.spec(cell, report=report))}
            rows.append(_row(grid, cell, run.path, held[cell.model], report, note))
        report("cells of the study", len(cells), len(cells))
        found = studied.gathered(grid, rows)
        cost = {
            "seconds": round(time.perf_counter() - begin, 2),
            "peak_memory_bytes": machine.peak_memory_bytes(),
            "versions": machine.versions(),
        }
        studied.write(run, found, cost)
        study_page.write(run, found)
    return found


def _claim(run: RunDirectory, grid: Grid) -> None:
    """Make the directory this study's. A study may grow: each cell's run directory knows its own subject."""
    others = [path for path in run.path.iterdir() if not path.name.startswith(".")]
    if others and not studied.is_study(run.path):
        raise RunError(f"{run.path} holds files that are not a study: choose an empty or new --out.")
    content = grid.model_dump(mode="json", exclude_defaults=True)
    run.write_text(studied.FILE, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def _row(grid: Grid, cell: Cell, directory: Path, held: LazyModel, report: Report, note: Note) -> Row:
    """Run a cell, or say why it cannot be run: whatever one model breaks stops no other."""
    try:
        with faults.contained(), no_pages():
            _run(grid, cell, RunDirectory(directory / cell.directory), held, report)
            return studied.row(directory, cell)
    except LayercliffError as error:
        note(f"{cell.model} on {cell.asking.task} by {cell.criterion}: {error}")
        return studied.unfinished(cell, str(error))


def _run(grid: Grid, cell: Cell, run: RunDirectory, held: LazyModel, report: Report) -> None:
    spec = grid.spec(cell, out=run.path, report=report)
    trace(spec.into(TraceSpec, model=held.given((run.path / traced.SUMMARY).exists())))
    if grid.forecast:
        measured = forecasts.stored(run).summary.exists()
        measure(spec.into(ForecastSpec, model=held.given(measured)))
    walked = pruned.stored(run, cell.criterion).summary.exists()
    prune(spec.given(model=held.given(walked), race=grid.race if named(cell.criterion).raced else None))
    if not page.is_current(run):
        page.write(run)
