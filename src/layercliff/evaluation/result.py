"""An evaluation in a run directory: ``evaluate/`` with a table per option, a table per question and a summary."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from jaxtyping import Float
from pydantic import Field

from layercliff.errors import RunError
from layercliff.metrics import accuracy
from layercliff.metrics.accuracy import METRICS, AccuracyEstimate, PairedComparison
from layercliff.models.stored_path import Count
from layercliff.readout.trace import TracedTask
from layercliff.run.directory import RunDirectory
from layercliff.run.stored_files import StoredFolder, Summary
from layercliff.run.stored_shapes import Cost, Settings
from layercliff.run.strict_json import plain
from layercliff.run.subject import Subject

FOLDER = "evaluate"
SUMMARY = f"{FOLDER}/summary.json"
AGAINST = f"{FOLDER}/against.json"
LAYERWISE = ("depth", "task", "question", "option", "log_likelihood", "greedy")
OPTIONS = {
    "task": pl.String,
    "question": pl.Int64,
    "id": pl.String,
    "group": pl.String,
    "option": pl.Int64,
    "gold": pl.Boolean,
    "context": pl.String,
    "continuation": pl.String,
    "log_likelihood": pl.Float64,
    "greedy": pl.Boolean,
    "tokens": pl.Int64,
    "characters": pl.Int64,
    "bytes": pl.Int64,
}
DEPTHS = {"depth": pl.Int64} | {name: OPTIONS[name] for name in LAYERWISE[1:]}
"""The columns of both tables that are read back."""


class EvaluationSettings(Settings):
    """The depths that were read."""

    depths: list[Count] | Literal["all"]


class EvaluationCost(Cost):
    device: str
    questions: dict[str, int]
    depths: list[Count] | Literal["all"]


class EvaluationSummary(Summary):
    asked: dict[str, TracedTask] = Field(min_length=1)
    cost: EvaluationCost


@dataclass(frozen=True)
class Evaluated:
    """Benchmarks of one model: what was asked, and each option's log-likelihood.

    Columns of `options`: ``task``, ``question`` (from 0 within the task), ``id``, ``group`` and ``option`` say which;
    ``gold`` whether it is right. ``context`` and ``continuation`` are what was run. ``log_likelihood`` is in nats,
    summed over the continuation's tokens. ``greedy`` says whether the model would have gone on so. ``tokens``,
    ``characters`` and ``bytes`` are the continuation's, without the space before it.

    Attributes:
        subject: What the run is about.
        options: A row per option, in the order asked.
        about: Of each task, where it is from and what was left out.
        settings: The depths that were read.
        cost: What it took.
        layerwise: Log-likelihoods by depth, read through the logit lens, the last depth among them.
    """

    subject: Subject
    options: pl.DataFrame
    about: Mapping[str, TracedTask]
    settings: EvaluationSettings
    cost: Mapping[str, Any]
    layerwise: pl.DataFrame

    @cached_property
    def questions(self) -> pl.DataFrame:
        """One row per question: ``task``, ``id``, ``group``, ``gold`` (the right option's place), and 1.0 or 0.0 by
        each metric."""
        return pl.concat([self._questions(name) for name in self.about])

    @cached_property
    def scores(self) -> dict[str, dict[str, AccuracyEstimate]]:
        """Each task's ``acc``, ``acc_norm`` (by characters), ``acc_bytes`` and ``acc_tokens``."""
        return {
            name: accuracy.scores({m: of[m].to_numpy() for m in METRICS}, of["group"].to_list(), self.subject.seed)
            for name in self.about
            if len(of := self.questions.filter(task=name))
        }

    @property
    def depths(self) -> list[int]:
        """The depths that were read."""
        return self.layerwise["depth"].unique().sort().to_list()

    def at(self, depth: int) -> "Evaluated":
        """The evaluation as if a depth were the last.

        Args:
            depth: One of those that were read.

        Returns:
            An evaluation of this depth.
        """
        there = self.layerwise.filter(depth=depth).drop("depth")
        keys = ["task", "question", "option"]
        options = self.options.drop("log_likelihood", "greedy").join(there, on=keys, maintain_order="left")
        return replace(self, options=options.select(self.options.columns))

    def options_of(self, task: str) -> pl.DataFrame:
        """The rows of one task.

        Args:
            task: Its name.

        Returns:
            Rows of `options`.
        """
        return self.options.filter(task=task)

    def _questions(self, name: str) -> pl.DataFrame:
        table = self.options_of(name)
        first = table.filter(pl.col("option") == 0)
        gold = table.filter("gold")["option"].to_numpy()
        sums = _wide(table, "log_likelihood")
        sizes = {metric: _wide(table, column) if column else None for metric, column in METRICS.items()}
        correct = {metric: accuracy.right(sums, size, gold) for metric, size in sizes.items()}
        columns = [pl.Series("gold", gold), *(pl.Series(metric, values) for metric, values in correct.items())]
        return first.select("task", "id", "group").with_columns(columns)

    @cached_property
    def ids(self) -> dict[str, list[str]]:
        """The ids of each task's questions, in the order asked."""
        return {name: self.questions.filter(task=name)["id"].to_list() for name in self.about}

    def must_match(self, subject: Subject, ids: Mapping[str, Sequence[str]]) -> None:
        """Refuse an evaluation that asked something else.

        Args:
            subject: What another run is about.
            ids: Ids of its questions, by task.

        Raises:
            RunError: Unless this evaluation asked the same, in the same way.
        """
        there = {task.name: task for task in self.subject.tasks}
        for task in subject.tasks:
            if task.name not in there:
                raise RunError(f"The other evaluation has no {task.name}: evaluate both models on the same tasks.")
            same = (there[task.name].digest, there[task.name].format) == (task.digest, task.format)
            if not same or self.ids[task.name] != list(ids[task.name]):
                raise RunError(
                    f"The two evaluations asked other questions of {task.name} "
                    f"({len(ids[task.name])} here, {len(self.ids[task.name])} there): use "
                    "the same tasks, --format, --shots, --limit and --seed."
                )

    def against(self, other: "Evaluated") -> dict[str, dict[str, PairedComparison]]:
        """This model minus another one on the same questions.

        Args:
            other: The other model's evaluation.

        Returns:
            A comparison by task and metric.

        Raises:
            RunError: Where the two were not asked the same.
        """
        other.must_match(self.subject, self.ids)
        found = {}
        for name in self.about:
            mine, its = (e.questions.filter(task=name) for e in (self, other))
            groups = mine["group"].to_list()
            found[name] = {
                m: accuracy.paired(mine[m].to_numpy(), its[m].to_numpy(), groups, self.subject.seed) for m in METRICS
            }
        return found


def _wide(table: pl.DataFrame, column: str) -> Float[np.ndarray, "question option"]:
    """A column of a task's options as an array, nan where a question has fewer."""
    question, option = table["question"].to_numpy(), table["option"].to_numpy()
    found = np.full((question.max() + 1, option.max() + 1), np.nan)
    found[question, option] = table[column].to_numpy()
    return found


def write(run: RunDirectory, evaluated: Evaluated) -> None:
    """Write everything; the summary comes last and says that the rest is complete."""
    folder = stored(run)
    for name in ("options", "questions", "layerwise"):
        folder.write_table(name, getattr(evaluated, name))
    folder.finish(summary(evaluated))


def stored(run: RunDirectory) -> StoredFolder:
    """The folder of an evaluation."""
    return run.folder(FOLDER, "summary.json", "layercliff eval")


def write_against(run: RunDirectory, evaluated: Evaluated, other: Evaluated) -> None:
    """Write ``against.json``: the other model, and the two compared by task and metric."""
    pairs = {
        task: {metric: asdict(pair) for metric, pair in found.items()}
        for task, found in evaluated.against(other).items()
    }
    run.write_json(AGAINST, {"model": other.subject.model, "revision": other.subject.revision, "tasks": pairs})


def summary(evaluated: Evaluated) -> dict[str, Any]:
    """The content of ``summary.json``."""
    subject = evaluated.subject
    tasks = {
        name: {
            "n_questions": len(of := evaluated.questions.filter(task=name)),
            "n_groups": of["group"].n_unique(),
            **{metric: plain(asdict(found)) for metric, found in metrics.items()},
        }
        for name, metrics in evaluated.scores.items()
    }
    return {
        "model": subject.model,
        "revision": subject.revision,
        "tasks": tasks,
        "shots": subject.shots,
        "limit": subject.limit,
        "dtype": subject.dtype,
        "seed": subject.seed,
        "depths": {
            str(depth): {
                t: plain({m: asdict(s) for m, s in of.items()}) for t, of in evaluated.at(depth).scores.items()
            }
            for depth in evaluated.depths
        }
        if len(evaluated.depths) > 1
        else {},
        "asked": {name: about.as_dict() for name, about in evaluated.about.items()},
        "cost": {**evaluated.settings.raw(), **evaluated.cost},
    }


def read(run: RunDirectory) -> Evaluated | None:
    """The evaluation in a run directory, or None where there is no finished one. Its metrics are computed anew from
    the log-likelihoods."""
    subject, folder = run.subject(), stored(run)
    content = folder.content(EvaluationSummary)
    if subject is None or content is None:
        return None
    options, layerwise = (
        folder.table(name, columns) for name, columns in (("options", OPTIONS), ("layerwise", DEPTHS))
    )
    if set(options["task"]) != set(content.asked):
        folder.refuse("options.parquet", f"it has options of {sorted(set(options['task']))}")
    asked = options.group_by("task", "question").agg(pl.len(), pl.col("option").sort(), pl.col("gold").sum())
    whole = [row["option"] == list(range(row["len"])) and row["gold"] == 1 for row in asked.iter_rows(named=True)]
    numbers = options.group_by("task").agg(pl.col("question").unique().sort())["question"].to_list()
    if not all(whole) or any(some != list(range(len(some))) for some in numbers):
        folder.refuse("options.parquet", "a question has not each of its options once, one of them right")
    keys = ["task", "question", "option"]
    depths = layerwise.partition_by("depth")
    if any(len(one) != len(options) or len(one.join(options, on=keys, how="semi")) != len(one) for one in depths):
        folder.refuse("layerwise.parquet", "its options are not those of options.parquet")
    cost = content.cost.raw()
    settings = EvaluationSettings(depths=cost.pop("depths"))
    return Evaluated(subject, options, content.asked, settings, cost, layerwise)


def open_evaluation(path: Path) -> Evaluated:
    """The finished evaluation in a directory. Raises `RunError` where there is none."""
    found = read(RunDirectory(path))
    if found is None:
        raise RunError(f"{path} holds no finished evaluation: make one with `layercliff eval --out {path}`.")
    return found
