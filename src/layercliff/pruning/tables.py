"""A path's tables: a row per step, candidate, depth, answer."""

from typing import TYPE_CHECKING

import polars as pl

from layercliff.analyses.trace import result as traced
from layercliff.analyses.trace import tables as trace_tables
from layercliff.pruning.step import Step

if TYPE_CHECKING:
    from layercliff.pruning.result import Pruned


def every(pruned: "Pruned") -> dict[str, pl.DataFrame]:
    """All tables that a path has, by name."""
    tables = {
        "steps": steps_table(pruned),
        "candidates": candidates_table(pruned),
        "depths": depths_table(pruned),
        "frequency": frequency_table(pruned),
    }
    return tables | ({"watched": watched_table(pruned)} if pruned.watched else {})


def steps_table(pruned: "Pruned") -> pl.DataFrame:
    """One row per step and task: report figures beside the paired loss."""
    rows = []
    for k, step in enumerate(pruned.steps):
        for name, analysis in pruned.analyses[k].items():
            paired = pruned.paired(k) if k else {}
            rows.append(
                {
                    "step": k,
                    "ratio": pruned.gone(k) / pruned.n_layers,
                    "task": name,
                    "removed": ", ".join(map(str, step.removed)),
                    **{n: v for n, v in traced.figures(analysis, step.kept).items() if not isinstance(v, list)},
                    **paired,
                }
            )
    return pl.DataFrame(rows, infer_schema_length=None)


def candidates_table(pruned: "Pruned") -> pl.DataFrame:
    """One row per step and candidate: its score, and whether it was removed.

    Where candidates are runs of blocks, each is named by its first block.
    """
    rows = [
        {"step": k, "block": block, "score": score, "removed": block in _taken(pruned, step)}
        for k, step in enumerate(pruned.steps)
        for block, score in step.scores.items()
    ]
    return pl.DataFrame(rows, schema={"step": pl.Int64, "block": pl.Int64, "score": pl.Float64, "removed": pl.Boolean})


def _taken(pruned: "Pruned", step: Step) -> tuple[int, ...]:
    """The candidates that were chosen, by the names that they have in the scores."""
    if not pruned.criterion.runs:
        return step.removed
    return (min(set(range(pruned.n_layers)) - set(step.kept)),) if step.scores else ()


def depths_table(pruned: "Pruned") -> pl.DataFrame:
    """One row per step and depth. ``block`` is the dense index of the block whose output the depth is (null at 0)."""
    frames = []
    for k, step in enumerate(pruned.steps):
        main = pruned.main(k)
        curves = {"margin": main.margin, "accuracy": main.accuracy}
        columns = {"step": k, "depth": range(len(step.kept) + 1), "block": [None, *step.kept]}
        for label, curve in curves.items():
            columns |= {label: curve.point, f"{label}_low": curve.low, f"{label}_high": curve.high}
        if main.frequency is not None:
            columns |= trace_tables.bias_columns({"kl": main.frequency.kl})
        frames.append(pl.DataFrame(columns, schema_overrides={"block": pl.Int64, "step": pl.Int64, "depth": pl.Int64}))
    return pl.concat(frames)


def watched_table(pruned: "Pruned") -> pl.DataFrame:
    """One row per step and watched task."""
    rows = [
        {"step": k, "ratio": pruned.gone(k) / pruned.n_layers, "task": name, "n": a.n_questions, "chance": a.chance}
        | {
            f"{q}{end}": float(getattr(getattr(a, q), side)[-1])
            for q in ("accuracy", "margin")
            for end, side in (("", "point"), ("_low", "low"), ("_high", "high"))
        }
        for k, analyses in enumerate(pruned.watched_analyses)
        for name, a in analyses.items()
    ]
    return pl.DataFrame(rows)


def frequency_table(pruned: "Pruned") -> pl.DataFrame:
    """One row per step, task, depth of the step's model and answer category.

    It says how often the category wins, is offered and is gold.
    """
    frames = [
        trace_tables.frequency_table(analyses).with_columns(step=pl.lit(k, pl.Int64))
        for k, analyses in enumerate(pruned.analyses)
    ]
    return pl.concat(frames)
