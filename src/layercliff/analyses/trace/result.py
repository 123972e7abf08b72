"""A trace in a run directory: ``trace/`` with the scores, a table per depth, a table per question and a summary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
from jaxtyping import Int

from layercliff.analyses.trace import tables
from layercliff.analyses.trace.shapes import TraceSettings, TraceSummary
from layercliff.choices import Half, Normalisation
from layercliff.errors import RunError
from layercliff.metrics.analysis import SHUFFLES, Analysis, analyse
from layercliff.metrics.phases import Transition
from layercliff.readout.trace import Trace, TracedTask
from layercliff.run.directory import RunDirectory
from layercliff.run.stored_files import StoredFolder
from layercliff.run.strict_json import plain
from layercliff.run.subject import Subject
from layercliff.tasks.question import Question

FOLDER = "trace"
SUMMARY = f"{FOLDER}/summary.json"


@dataclass(frozen=True)
class Traced:
    """A finished trace.

    Attributes:
        subject: What the run is about.
        trace: Scores of every question at every depth.
        analyses: What they say, by task, and ``joint`` where there are several.
        settings: How it was traced.
        cost: Machine, seconds, memory, tokens and versions.
    """

    subject: Subject
    trace: Trace
    analyses: Mapping[str, Analysis]
    settings: TraceSettings
    cost: Mapping[str, Any]

    @property
    def main(self) -> Analysis:
        """The analysis of the only task, or of all together."""
        return self.analyses.get("joint") or next(iter(self.analyses.values()))

    @property
    def transition_depth(self) -> int | None:
        """T, or None where the model is undecided."""
        return self.main.transition.depth

    def by(self, normalisation: Normalisation) -> "Traced":
        """Read the trace by log-likelihoods per character, token or byte.

        Args:
            normalisation: What to divide each option's summed log-likelihood by.

        Returns:
            The same questions with other scores and analyses.

        Raises:
            RunError: Where the sizes of options are not known.
        """
        trace = self.trace.by(normalisation)
        return replace(self, trace=trace, analyses=analyse(trace, self.main.resamples, self.subject.seed, SHUFFLES))

    def caption(self, name: str) -> str:
        """What a figure shows, in a line: model, task, split, n, format, dtype and seed.

        Args:
            name: A task, or ``joint``.

        Returns:
            The line.
        """
        return described(self.subject, name, f"n = {self.analyses[name].n_questions}")


def described(subject: Subject, name: str, n: str) -> str:
    """A subject in a line, of the task `name` (or ``joint``), with `n` in words."""
    tasks = subject.tasks if name == "joint" else [task for task in subject.tasks if task.name == name]
    asked = " + ".join(f"{t.name} ({t.split}, {t.format}{_detail(t.format, subject)})" for t in tasks)
    return f"{subject.model} · {asked} · {n} · {_precision(subject)} · seed {subject.seed}"


def _detail(form: str, subject: Subject) -> str:
    how = "" if subject.sampler == "fixed" else f" {subject.sampler}"
    shots = f", {subject.shots}-shot{how}" if subject.shots else ""
    return (
        shots
        + (f", by {subject.normalisation}" if form == "cloze" and subject.normalisation else "")
        + (", chat template" if subject.chat else "")
    )


def _precision(subject: Subject) -> str:
    return (
        subject.dtype
        if subject.dtype == subject.weights_dtype
        else f"{subject.dtype} from {subject.weights_dtype} weights"
    )


def write(run: RunDirectory, traced: Traced) -> None:
    """Write everything; the summary comes last and says that the rest is complete."""
    trace, folder = traced.trace, stored(run)
    arrays = {"scores": trace.scores, "mask": trace.mask, "gold": trace.gold, "option_mass": trace.option_mass}
    folder.write_arrays("trace", arrays)
    for name, table in (
        ("depths", tables.depths_table(traced.analyses)),
        ("questions", tables.questions_table(trace)),
        ("frequency", tables.frequency_table(traced.analyses)),
    ):
        folder.write_table(name, table)
    folder.finish(summary(traced))


def stored(run: RunDirectory) -> StoredFolder:
    """The folder of a trace."""
    return run.folder(FOLDER, "summary.json", "layercliff trace")


def read(run: RunDirectory) -> Traced | None:
    """The trace in a run directory, or None where there is no finished one. Its metrics are computed anew from the
    scores."""
    subject, folder = run.subject(), stored(run)
    content = folder.content(TraceSummary)
    if subject is None or content is None:
        return None
    table = read_questions(folder, "questions", content.traced_tasks)
    shapes = ASKED | {"scores": "float depth question option", "option_mass": "float depth question"}
    arrays = folder.arrays("trace", shapes, {"question": len(table)})
    trace = rebuilt(folder, "trace", arrays, ["scores"], table, content.traced_tasks)[0]
    trace = replace(trace, option_mass=arrays["option_mass"])
    cost = content.cost.raw()
    settings = TraceSettings(option_mass=cost.pop("option_mass"))
    return Traced(subject, trace, analyse(trace, content.resamples, subject.seed, SHUFFLES), settings, cost)


ASKED = {"mask": "bool question option", "gold": "int question"}
"""The arrays that say what the scores beside them are of."""

QUESTIONS = {
    "task": pl.String,
    "id": pl.String,
    "group": pl.String,
    "half": pl.String,
    "text": pl.String,
    "options": pl.List(pl.String),
    "gold": pl.Int64,
}
"""The columns of a table of questions that are read back."""


def read_questions(folder: StoredFolder, name: str, tasks: Mapping[str, TracedTask]) -> pl.DataFrame:
    """A table of questions of these tasks. Raises `RunError` for any other."""
    table, file = folder.table(name, QUESTIONS), f"{name}.parquet"
    if set(table["task"]) != set(tasks):
        folder.refuse(file, f"it has questions of {sorted(set(table['task']))}, not of {sorted(tasks)}")
    if not set(table["half"]) <= set(get_args(Half)):
        folder.refuse(file, f"its halves are {sorted(set(table['half']))}")
    if table["options"].list.eval(pl.element().is_null().any()).explode().any():
        folder.refuse(file, "an option is missing")
    for column in set(tables.SIZES.values()) & set(table.columns):
        of_every_option = pl.col(column).list.len() == pl.col("options").list.len()
        whole = of_every_option & (pl.col(column).list.drop_nulls().list.len() == pl.col(column).list.len())
        if table.schema[column] != pl.List(pl.Int64) or not table.select(whole.fill_null(False).all()).item():
            folder.refuse(file, f"its column {column} holds no size of every option")
    return table


def _sizes(table: pl.DataFrame) -> dict[Normalisation, Int[np.ndarray, "question option"]]:
    """The sizes of options that a table of questions has, 1 for absent ones."""
    n = table["options"].list.len().to_numpy()
    offered = np.arange(n.max(initial=0)) < n[:, None]
    found = {by: np.ones(offered.shape, np.int64) for by, column in tables.SIZES.items() if column in table.columns}
    for by, sizes in found.items():
        sizes[offered] = table[tables.SIZES[by]].explode().to_numpy()
    return found


def rebuilt(
    folder: StoredFolder,
    name: str,
    arrays: Mapping[str, np.ndarray],
    scores: Sequence[str],
    table: pl.DataFrame,
    tasks: Mapping[str, TracedTask],
) -> list[Trace]:
    """The traces of some arrays of scores, read from ``name.safetensors``, with their table of questions and what was
    said of its tasks. Raises `RunError` where these do not belong together, and for scores that are not finite."""
    mask, gold, file = arrays["mask"], arrays["gold"], f"{name}.safetensors"
    n_options = table["options"].list.len().to_numpy()
    if not np.array_equal(mask, np.arange(mask.shape[1]) < n_options[:, None]):
        folder.refuse(file, "its mask is not that of the questions")
    if not np.array_equal(gold, table["gold"].to_numpy()) or (gold < 0).any() or (gold >= n_options).any():
        folder.refuse(file, "its gold options are not those of the questions")
    if any(len(arrays[one]) < 2 for one in scores):
        folder.refuse(file, "it has fewer than two depths")
    if unknown := [one for one in scores if not np.isfinite(arrays[one][:, mask]).all()]:
        folder.refuse(file, f"its array {unknown[0]} has scores that are not finite")
    questions = tuple(
        Question(r["id"], r["text"], tuple(r["options"]), r["gold"], r["group"], r.get("subject") or "")
        for r in table.iter_rows(named=True)
    )
    about = questions, tuple(table["task"]), tuple(table["half"]), tasks, _sizes(table)
    return [
        Trace(arrays[one], mask, gold, np.full(arrays[one].shape[:2], np.nan, np.float32), *about) for one in scores
    ]


def summary(traced: Traced) -> dict[str, Any]:
    """The content of ``summary.json``; depths that are not finite (undecided) are null."""
    main, subject = traced.main, traced.subject
    return {
        "model": subject.model,
        "revision": subject.revision,
        "task": ",".join(task.name for task in subject.tasks),
        "format": ",".join(dict.fromkeys(task.format for task in subject.tasks)),
        **figures(main),
        "tasks": {name: figures(analysis) for name, analysis in traced.analyses.items()},
        "seconds": traced.cost["seconds"],
        "peak_memory_bytes": traced.cost["peak_memory_bytes"],
        "resamples": main.resamples,
        "dtype": subject.dtype,
        "seed": subject.seed,
        "traced_tasks": {name: task.as_dict() for name, task in traced.trace.tasks.items()},
        "cost": {**traced.settings.raw(), **traced.cost},
    }


def figures(analysis: Analysis, kept: Sequence[int] | None = None) -> dict[str, Any]:
    """The numbers of one analysis that a user reads first.

    ``decision_margin`` and ``accuracy`` are those of the last depth. Of a model that has only the blocks `kept`,
    blocks are dense indices, and a depth is the dense model's after the same block. ``n_layers`` is how many blocks
    there are.
    """
    transition, jump = analysis.transition, analysis.jump
    decided = transition.depth is not None
    blocks = tuple(range(analysis.n_layers)) if kept is None else tuple(kept)

    found = {
        "n_questions": analysis.n_questions,
        "n_groups": analysis.n_groups,
        "n_layers": analysis.n_layers,
        "chance": analysis.chance,
        "accuracy": float(analysis.accuracy.point[-1]),
        "accuracy_low": float(analysis.accuracy.low[-1]),
        "accuracy_high": float(analysis.accuracy.high[-1]),
        **_normalised(analysis),
        "decision_margin": float(analysis.margin.point[-1]),
        "decision_margin_low": float(analysis.margin.low[-1]),
        "decision_margin_high": float(analysis.margin.high[-1]),
        **_depths("transition_depth", transition, blocks),
        "transition_undecided_share": transition.undecided_share,
        **_depths("transition_depth_by_sign", analysis.by_sign, blocks),
        **_depths("half_depth", analysis.half, blocks),
        "half_undecided_share": analysis.half.undecided_share,
        "silent_phase": [0, _dense(blocks, transition.depth)] if decided else None,
        "decisive_phase": [_dense(blocks, transition.depth), blocks[-1] + 1] if decided else None,
        "jump_shown": analysis.jump.shown,
        "jump_p": analysis.jump.p,
        "jump_block": blocks[jump.block],
        "jump_block_low": blocks[jump.block_low],
        "jump_block_high": blocks[jump.block_high],
        "jump_rise": jump.rise,
        "jump_rise_low": jump.rise_interval[0],
        "jump_rise_high": jump.rise_interval[1],
        "jump_sharpness": jump.sharpness,
        "jump_sharpness_low": jump.sharpness_interval[0],
        "jump_sharpness_high": jump.sharpness_interval[1],
        "option_mass": tables.number(analysis.option_mass[-1]),
        **_bias(analysis),
    }
    return dict(plain(found))


def _depths(name: str, found: Transition, blocks: Sequence[int]) -> dict[str, Any]:
    """A boundary with its interval, as dense depths."""
    return {
        name: _dense(blocks, found.depth),
        f"{name}_low": _dense(blocks, found.low),
        f"{name}_high": _dense(blocks, found.high),
    }


def _normalised(analysis: Analysis) -> dict[str, float]:
    """Accuracy at the last depth by each normalisation but the sum."""
    found: dict[str, float] = {}
    for by, curve in analysis.accuracy_by.items():
        ends = {"": curve.point, "_low": curve.low, "_high": curve.high}
        found |= {f"accuracy_{by}{end}": float(values[-1]) for end, values in ends.items()}
    return found


def _dense(blocks: Sequence[int], depth: float | int | None) -> int | None:
    """The dense model's depth after the same block, for a depth of a model of some dense `blocks`."""
    if depth is None or not np.isfinite(depth):
        return None
    return blocks[int(depth) - 1] + 1 if depth else 0


def _bias(analysis: Analysis) -> dict[str, float]:
    """KL and JS of the last depth's answers from the gold ones, beside those without preference."""
    if analysis.frequency is None:
        return {}
    columns = tables.bias_columns({"kl": analysis.frequency.kl, "js": analysis.frequency.js})
    return {name: float(values[-1]) for name, values in columns.items()}


def open_run(path: Path) -> RunDirectory:
    """A run directory that exists. Raises `RunError` otherwise."""
    run = RunDirectory(path)
    if run.subject() is None:
        raise RunError(
            f"{path} is no run directory: it holds no run.yaml; make one with `layercliff trace --out {path}`."
        )
    return run
