"""A step of a path, as it is named by whoever wants it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from layercliff import limits
from layercliff.analyses.trace import result as traced
from layercliff.choices import At
from layercliff.errors import ModelError, RunError, numbered
from layercliff.models import lookup
from layercliff.models.lookup import LocatedModel
from layercliff.models.merged_blocks import Blends
from layercliff.progress import Report
from layercliff.pruning import result as results
from layercliff.pruning.criterion import DEFAULT
from layercliff.pruning.result import Pruned
from layercliff.pruning.step import Step
from layercliff.run.directory import RunDirectory


@dataclass(frozen=True)
class SelectedStep:
    """Step `step` of the path `pruned`."""

    pruned: Pruned
    step: int

    @property
    def kept(self) -> tuple[int, ...]:
        """The dense indices of the blocks that are left."""
        return self.pruned.steps[self.step].kept

    @property
    def blends(self) -> Blends:
        """Which of them are merged, and how."""
        return self.pruned.steps[self.step].blends

    def located(self, report: Report) -> LocatedModel:
        """The model that the path began with, on this machine. Raises `ModelError` when it is another one now."""
        subject = self.pruned.subject
        found = lookup.locate(subject.model, report)
        if found.revision != subject.revision:
            raise ModelError(
                f"The model {subject.model} is another one than the path was made with "
                f"({found.revision} instead of {subject.revision})."
            )
        return found


def select_step(run: str | Path, step: int | At | None, criterion: str | None) -> SelectedStep:
    """Step `step` (default: the recommended one) of the path by `criterion` in the run directory `run`.

    Of several paths, the default is the one by the default criterion.

    Raises `RunError` for what is not there.
    """
    limits.check(step=None if isinstance(step, str) else step)
    pruned = _path(traced.open_run(Path(run)), criterion)
    if step == "before-cliff":
        if not pruned.collapse.step:
            raise RunError(f"The path in {run} has no cliff: name a step with --step, or prune further.")
        step = pruned.collapse.step - 1
    step = None if step == "recommended" else step
    chosen = pruned.recommended if step is None else step
    if step is None and chosen == 0:
        raise RunError(
            f"No step of {run} is recommended, since every removal is estimated to cost too much: name one with --step."
        )
    if not 0 <= chosen < len(pruned.steps):
        raise RunError(f"The path in {run} has {numbered('step', len(pruned.steps))}: there is no step {chosen}.")
    return SelectedStep(pruned, chosen)


def steps_of(run: str | Path | None, steps: Sequence[int], criterion: str | None) -> tuple[Pruned, dict[int, Step]]:
    """A path in a run directory and some of its steps (default: a light one, the recommended, and a heavy one, the
    collapsed). Raises `RunError` as `select_step` does."""
    if run is None:
        raise RunError("The steps of a path are wanted: name a run directory that holds one with out.")
    path = select_step(run, 0, criterion).pruned
    wanted = steps or path.light_and_heavy
    return path, {step: path.steps[select_step(run, step, path.criterion_name).step] for step in wanted}


def _path(directory: RunDirectory, criterion: str | None) -> Pruned:
    known = results.criteria_of(directory)
    if not known:
        raise RunError(f"{directory.path} holds no finished path: run `layercliff prune` with --out {directory.path}.")
    if criterion is None and DEFAULT in known:
        criterion = DEFAULT
    if criterion is None and len(known) > 1:
        raise RunError(f"{directory.path} holds paths by {' and '.join(known)}: choose one with --criterion.")
    criterion = criterion or known[0]
    found = results.read(directory, criterion) if criterion in known else None
    if found is None:
        raise RunError(f"{directory.path} holds no path by {criterion}: it has {', '.join(known)}.")
    return found
