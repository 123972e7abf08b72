"""What a study will take, said before any weight is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layercliff import faults
from layercliff.errors import LayercliffError
from layercliff.interventions import gates
from layercliff.planning.run import Plan, plan
from layercliff.planning.spec import PlanSpec
from layercliff.progress import Report, silent
from layercliff.pruning.criterion import Criterion, named
from layercliff.studies.grid import Grid


@dataclass(frozen=True)
class RunPlan:
    """What a run directory of a study costs, at most.

    Attributes:
        model: The model.
        task: The task.
        format: Its format.
        seed: Its seed.
        criteria: What paths are chosen by.
        plan: Trace and path of one criterion. None where it cannot be planned.
        block_passes: Block passes of batches, of all of it.
        seconds: At the machine's matrix rate.
        reason: Why it cannot be planned.
    """

    model: str
    task: str
    format: str
    seed: int
    criteria: tuple[str, ...]
    plan: Plan | None
    block_passes: int
    seconds: float
    reason: str | None = None


@dataclass(frozen=True)
class StudyPlan:
    """What a study costs, at most.

    Attributes:
        runs: One per run directory.
        unplanned: Criteria whose choosing is not counted.
    """

    runs: tuple[RunPlan, ...]
    unplanned: tuple[str, ...]

    @property
    def block_passes(self) -> int:
        """Block passes of batches, of all runs."""
        return sum(run.block_passes for run in self.runs)

    @property
    def seconds(self) -> float:
        """Seconds of all runs."""
        return sum(run.seconds for run in self.runs)


def plan_study(file: str | Path | Mapping[str, Any] | Grid, *, report: Report = silent) -> StudyPlan:
    """Count what `layercliff.study` would do with a study file. No weight is read.

    It would make traces and paths, and forecast the collapse. Paths are counted to the end, without reuse between
    steps. The end is every block but one, or what `remove` or `to_ratio` say. They stop at the collapse.

    Args:
        file: A study file, or its content.
        report: Is told of progress.

    Returns:
        A plan per run directory. One that cannot be planned has a reason.

    Raises:
        RunError: For a file that is no study.
    """
    grid = file if isinstance(file, Grid) else Grid.of(file) if isinstance(file, Mapping) else Grid.read(Path(file))
    together: dict[str, list[Any]] = {}
    for cell in grid.cells():
        together.setdefault(cell.directory, []).append(cell)
    runs = []
    for number, cells in enumerate(together.values()):
        report("planning", number, len(together))
        runs.append(_run(grid, cells))
    report("planning", len(together), len(together))
    return StudyPlan(tuple(runs), tuple(s for s in grid.criteria if not named(s).plannable))


def _run(grid: Grid, cells: list[Any]) -> RunPlan:
    first = cells[0]
    criteria = tuple(cell.criterion for cell in cells)
    spec = grid.spec(first).into(PlanSpec)
    form = first.asking.format or "own"
    ends: dict[str, Any] = {"remove": grid.remove, "to_ratio": grid.to_ratio}
    try:
        with faults.contained():
            one = plan(spec.given(remove=1, to_ratio=None))
            if grid.remove is None and grid.to_ratio is None:
                ends = {"remove": one.n_layers - 1}
            found = plan(spec.given(**ends))
    except LayercliffError as error:
        return RunPlan(first.model, first.asking.task, form, first.seed, criteria, None, 0, 0.0, str(error))
    path, rate = found.path, found.seconds / found.multiplications
    passes, work = float(found.block_passes), found.multiplications
    for criterion in map(named, criteria):
        times = grid.draws if criterion.drawn else 1
        choosing = _choosing(criterion, found, one)
        passes += times * path.report_block_passes + choosing[0]
        work += times * path.report_multiplications + choosing[1]
    if grid.forecast:
        dense = gates.PASSES + 1  # and Block Influence
        passes += dense * found.block_passes / 2
        work += dense * found.multiplications / 2
        if "margin" not in criteria or grid.race is not None:  # otherwise the first step is the path's
            passes += one.path.selection_block_passes
            work += one.path.multiplications - one.path.report_multiplications
    return RunPlan(
        first.model, first.asking.task, form, first.seed, criteria, found, round(passes), rate * work
    )  # fmt: skip


def _choosing(criterion: Criterion, found: Plan, one: Plan) -> tuple[float, float]:
    """Block passes and multiplications of choosing a path's steps, 0 where unknown. `one` is the plan of one step."""
    if not criterion.plannable:
        return 0.0, 0.0
    path, first = found.path, one.path
    passes, multiplications = {
        "nothing": (0, 0.0),
        "pass": (found.block_passes / 2, found.multiplications / 2),  # half of the questions
        "sweep": (first.selection_block_passes, first.multiplications - first.report_multiplications),
        "pass per step": (path.report_block_passes, path.report_multiplications),  # the halves are about the same
        "sweep per step": (path.selection_block_passes, path.multiplications - path.report_multiplications),
    }[criterion.cost]
    return float(passes), multiplications
