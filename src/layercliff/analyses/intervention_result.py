"""What a probe did to a model's decisions, in a run directory: the scores of every run, the questions, a table, and a
summary that comes last."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import polars as pl
from jaxtyping import Bool, Float
from pydantic import Field

from layercliff.analyses.trace import result as traced
from layercliff.analyses.trace import tables as trace_tables
from layercliff.metrics.analysis import Analysis, analyse
from layercliff.metrics.effects import Effects, PerRun, decisions, effects
from layercliff.metrics.statistics import RESAMPLES, Resamples
from layercliff.models.stored_path import Count
from layercliff.readout.trace import Trace, TracedTask
from layercliff.run.directory import RunDirectory
from layercliff.run.stored_files import StoredFolder, Summary
from layercliff.run.stored_shapes import Cost, Settings
from layercliff.run.subject import Subject

SUMMARY = "summary.json"
Own = TypeVar("Own", bound=Settings)
"""The settings of an analysis."""


class InterventionSummary(Summary):
    about: dict[str, Any]
    transition_depth: Count | None
    traced_tasks: dict[str, TracedTask] = Field(min_length=1)
    cost: Cost


@dataclass(frozen=True)
class InterventionResult(Generic[Own]):
    """What an intervention did to a model's decisions.

    Attributes:
        subject: What the run is about.
        trace: The undisturbed model at all depths.
        scores: [run question option] Every disturbed run at its last depth, in nats. What the runs are follows from
            `settings`.
        settings: Those of the analysis.
        transition: The depth T that figures mark. None for an undecided model.
        cost: Machine, block passes, seconds, memory and versions.
    """

    subject: Subject
    trace: Trace
    scores: Float[np.ndarray, "run question option"]
    settings: Own
    transition: int | None
    cost: Mapping[str, Any]

    @cached_property
    def analyses(self) -> Mapping[str, Analysis]:
        """The undisturbed model's, by task, and ``joint``."""
        return analyse(self.trace, RESAMPLES, self.subject.seed)

    @cached_property
    def decisions(self) -> tuple[PerRun, PerRun]:
        """Decision Margin and correctness of every run and question."""
        return decisions(self.scores, self.trace.mask, self.trace.gold)

    @cached_property
    def undisturbed_depths(self) -> tuple[PerRun, PerRun]:
        """Decision Margin and correctness of the undisturbed model at every depth."""
        return decisions(self.trace.scores, self.trace.mask, self.trace.gold)

    @cached_property
    def undisturbed(self) -> tuple[Float[np.ndarray, " question"], Float[np.ndarray, " question"]]:
        """Decision Margin and correctness of the undisturbed model's last depth."""
        margin, correct = self.undisturbed_depths
        return margin[-1], correct[-1]

    @property
    def name(self) -> str:
        """The task, or ``joint``."""
        return next(iter(self.trace.tasks)) if len(self.trace.tasks) == 1 else "joint"

    def parts(self) -> Iterator[tuple[str, Bool[np.ndarray, " question"]]]:
        """Each task, and all together under ``joint``.

        Yields:
            Its name, and which questions are its own, [question].
        """
        names = np.array(self.trace.task_of)
        for name in self.trace.tasks:
            yield name, names == name
        if len(self.trace.tasks) > 1:
            yield "joint", np.ones(len(names), bool)

    def effects(self, keep: Bool[np.ndarray, " question"], margin: PerRun, correct: PerRun) -> Effects:
        """Compare runs with the undisturbed model's last depth.

        Args:
            keep: [question] Which questions count.
            margin: [run question] Decision Margins of all questions.
            correct: [run question] Correctness of all questions.

        Returns:
            Means and changes by run.
        """
        base = self.undisturbed
        groups = [group for group, wanted in zip(self.trace.groups, keep, strict=True) if wanted]
        resamples = Resamples.draw(groups, RESAMPLES, self.subject.seed)
        return effects(margin[:, keep], correct[:, keep], base[0][keep], base[1][keep], resamples)

    def caption(self, n: str) -> str:
        """What a figure shows, in a line: model, task, split, n, format, dtype and seed.

        Args:
            n: Number of questions, in words.

        Returns:
            The line.
        """
        return traced.described(self.subject, self.name, n)


def columns(found: Effects) -> dict[str, np.ndarray]:
    """Effects as columns of a table, a row per run.

    Args:
        found: Effects of runs.

    Returns:
        [run] Columns by name. Ends of intervals have ``_low`` and ``_high``.
    """
    curves = {
        "margin": found.margin,
        "accuracy": found.accuracy,
        "margin_change": found.margin_change,
        "accuracy_change": found.accuracy_change,
    }
    ends = {"": "point", "_low": "low", "_high": "high"}
    return {f"{name}{end}": getattr(curve, side) for name, curve in curves.items() for end, side in ends.items()}


def write(run: RunDirectory, folder: str, probed: InterventionResult[Own], table: pl.DataFrame) -> None:
    """Write everything. The summary comes last and says that the rest is complete. An older one goes first.

    Args:
        run: The run directory.
        folder: Of the analysis in it.
        probed: The result.
        table: What is written for readers, besides.
    """
    place = stored(run, folder)
    run.forget(f"{folder}/{SUMMARY}")
    trace = probed.trace
    place.write_arrays("scores", {"dense": trace.scores, "runs": probed.scores, "mask": trace.mask, "gold": trace.gold})
    place.write_table("questions", trace_tables.questions_table(trace))
    place.write_table(Path(folder).name, table)
    place.finish(
        {
            "model": probed.subject.model,
            "revision": probed.subject.revision,
            "about": probed.settings.raw(),
            "n_questions": len(trace.questions),
            "transition_depth": probed.transition,
            "traced_tasks": {name: task.as_dict() for name, task in trace.tasks.items()},
            "cost": dict(probed.cost),
        }
    )


def stored(run: RunDirectory, folder: str) -> StoredFolder:
    """The folder of an analysis, which is called after its verb.

    Args:
        run: The run directory.
        folder: Its name.

    Returns:
        The folder.
    """
    return run.folder(folder, SUMMARY, f"layercliff {Path(folder).parts[0]}")


def read(
    run: RunDirectory, folder: str, shape: type[Own], count: Callable[[Own, int], int]
) -> InterventionResult[Own] | None:
    """What an intervention left in a run directory. Its metrics are computed anew from the scores.

    Args:
        run: The run directory.
        folder: Of the analysis in it.
        shape: The class of its settings.
        count: How many runs there are, by settings and number of blocks.

    Returns:
        The result, or None where it is not finished.

    Raises:
        RunError: Where its files are damaged.
    """
    subject, place = run.subject(), stored(run, folder)
    content = place.content(InterventionSummary)
    if subject is None or content is None:
        return None
    settings = place.fits(content.about, shape, "about")
    table = traced.read_questions(place, "questions", content.traced_tasks)
    shapes = {"dense": "float depth question option", "runs": "float run question option"}
    arrays = place.arrays("scores", shapes | traced.ASKED, {"question": len(table)})
    trace = traced.rebuilt(place, "scores", arrays, ["dense"], table, content.traced_tasks)[0]
    try:
        wanted = count(settings, trace.n_layers)
    except ValueError as error:
        place.refuse(SUMMARY, error)
    if len(arrays["runs"]) != wanted or not np.isfinite(arrays["runs"][:, trace.mask]).all():
        place.refuse("scores.safetensors", f"its array runs has not the finite scores of {wanted} runs")
    if content.transition_depth is not None and content.transition_depth > trace.n_layers:
        place.refuse(SUMMARY, f"depth {content.transition_depth} is beyond {trace.n_layers} blocks")
    return InterventionResult(subject, trace, arrays["runs"], settings, content.transition_depth, content.cost.raw())
