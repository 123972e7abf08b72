"""Similarity of dense and pruned models, in a run directory: ``similarity/``, with a row per pair of depths."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl
from pydantic import PositiveInt

from layercliff.analyses.trace import result as traced
from layercliff.pruning.shapes import StepSettings
from layercliff.run.directory import RunDirectory
from layercliff.run.stored_files import StoredFolder, Summary
from layercliff.run.stored_shapes import Cost
from layercliff.run.subject import Subject

FOLDER = "similarity"
SUMMARY = f"{FOLDER}/summary.json"

What = Literal["tokens", "decision", "options", "random"]

ABOUT: dict[What, str] = {
    "tokens": "states of all tokens",
    "decision": "states of the token that decides",
    "options": "decision representations (each question's option scores, centred per question)",
    "random": "the same with random rows of the vocabulary in place of the options",
}
"""What is compared. The last is a control of the third."""


_MAP = {"task": pl.String, "what": pl.String, "standardised": pl.Boolean, "step": pl.Int64}
MEASURED = ("cka", "low", "high", "shuffled", "shuffled_size")
MEANS = tuple(f"{name}{end}" for name in ("third", "last") for end in ("", "_low", "_high", "_shuffled"))
TABLE = _MAP | dict.fromkeys(("dense", "pruned", "n", "d"), pl.Int64) | dict.fromkeys(MEASURED, pl.Float64)
SUMMARIES = _MAP | dict.fromkeys(MEANS, pl.Float64)
"""The columns of both tables that are read back, measured ones with gaps."""


def last_third(n_layers: int) -> range:
    """The depths of the last third of a model of so many blocks: at least its last one."""
    return range(n_layers - max(1, n_layers // 3) + 1, n_layers + 1)


class SimilarSettings(StepSettings):
    """The steps that were compared, how many tokens of each question stand for all, and a digest of merged blocks."""

    tokens: PositiveInt
    blends: str | None = None


class SimilarSummary(Summary):
    about: SimilarSettings
    cost: Cost


@dataclass(frozen=True)
class Similar:
    """Debiased CKA between all depths of the dense model and of steps of a path. Step 0 is the dense model itself.

    Attributes:
        subject: What the run is about.
        table: A row per task, step, map, scaling, dense depth and pruned depth. It holds the CKA with its interval, and
            the CKA of shuffled pairs: the mean, and the 95 % quantile of its size. Null: a depth does not vary over the
            samples, or half of the groups are too few for an interval.
        summary: A row per task, step, map and scaling. ``third`` is the mean over the last third of the pruned model's
            depths, each against the depth of the same block in the dense model. ``third_samples`` has it in every
            subsample. ``last`` compares the last depths.
        settings: What was compared.
        cost: Machine, block passes, seconds, memory and versions.
    """

    subject: Subject
    table: pl.DataFrame
    summary: pl.DataFrame
    settings: SimilarSettings
    cost: Mapping[str, Any]

    def caption(self, task: str, what: str) -> str:
        """What a figure shows, in a line.

        Args:
            task: The task.
            what: What is compared.

        Returns:
            The line.
        """
        some = self.table.filter((pl.col("task") == task) & (pl.col("what") == what)).row(0, named=True)
        n = f"n = {some['n']} {'tokens' if what == 'tokens' else 'questions'}, d = {some['d']}"
        return f"{traced.described(self.subject, task, n)}, path by {self.settings.criterion}"


def write(run: RunDirectory, found: Similar) -> None:
    """Write tables and summary; the summary comes last and says that the rest is complete, and goes first where
    another one lay there."""
    folder = stored(run)
    run.forget(SUMMARY)
    folder.write_table("similarity", found.table)
    folder.write_table("summary", found.summary)
    content = {"model": found.subject.model, "revision": found.subject.revision, "about": found.settings.raw()}
    folder.finish(content | {"summary": found.summary.drop("third_samples").to_dicts(), "cost": dict(found.cost)})


def stored(run: RunDirectory) -> StoredFolder:
    """The folder of the analysis."""
    return run.folder(FOLDER, "summary.json", "layercliff similarity")


def read(run: RunDirectory) -> Similar | None:
    """A finished analysis, or None."""
    subject, folder = run.subject(), stored(run)
    content = folder.content(SimilarSummary)
    if subject is None or content is None:
        return None
    table, summary = folder.table("similarity", TABLE, MEASURED), folder.table("summary", SUMMARIES, MEANS)
    steps = [int(step) for step in content.about.steps]
    wanted = {(t.name, step, what, s) for t in subject.tasks for step in steps for what in ABOUT for s in (False, True)}
    for name, rows in (("similarity", table), ("summary", summary)):
        if set(rows.select("task", "step", "what", "standardised").iter_rows()) != wanted:
            folder.refuse(f"{name}.parquet", "it has not each map of each task and step")
    return Similar(subject, table, summary, content.about, content.cost.raw())
