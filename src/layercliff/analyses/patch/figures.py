"""The figures of exchanged states."""

from collections.abc import Iterator
from typing import Any

import altair as alt
import polars as pl

from layercliff.analyses.intervention_result import InterventionResult
from layercliff.analyses.patch import result as patched
from layercliff.analyses.patch.result import PatchSettings
from layercliff.report import words
from layercliff.report.chart import BLUE, HEAVY, Chart, Figure, level
from layercliff.report.depth_chart import counted, depth_axis, lines, numbers, placed, transition_mark, where

COLOURS = {"dense into pruned": BLUE, "pruned into dense": HEAVY}
NAMES = dict(zip(patched.INTO, COLOURS, strict=True))


def figures(found: InterventionResult[PatchSettings]) -> Iterator[Figure]:
    """Margin and accuracy of both patched models over the depth of the exchange, of every step."""
    table = patched.table(found).filter(pl.col("task") == found.name)
    where = "at all positions" if found.settings.positions == "all" else "at the positions that are read"
    for step, kept in found.settings.steps.items():
        removed = found.trace.n_layers - len(kept)
        some = table.filter(pl.col("step") == int(step))
        for value, title in (("margin", "decision margin"), ("accuracy", "accuracy")):
            text = (
                f"The {title} at the last depth when one model goes on with the other's state "
                f"{where}, by the block after which it gets it, with {words.PERCENT} intervals; "
                f"{words.blocks_of(removed)} removed. Dashed: the dense and the pruned model by "
                "themselves. "
                f"{found.caption(f'n = {len(found.trace.questions)} (report half)')}, path by "
                f"{found.settings.criterion}."
            )
            yield Figure(
                f"patch-step-{step}-{value}",
                f"States exchanged, step {step}: {title}",
                text,
                _exchanged(found, some, value, title),
            )


def sentence(found: InterventionResult[PatchSettings]) -> str:
    """From which depth on the dense state brings the decision back, per step."""
    table = patched.table(found).filter((pl.col("task") == found.name) & (pl.col("into") == "pruned"))
    parts = []
    for step, kept in found.settings.steps.items():
        rows = table.filter(pl.col("step") == int(step)).sort("pruned").to_dicts()
        dense, pruned = _alone(rows, "change"), _alone(rows, "gain")
        parts.append(
            f"without {words.blocks_of(found.trace.n_layers - len(kept))} the margin is "
            f"{pruned:+.2f} (dense {dense:+.2f}){_return(rows, dense, pruned)}"
        )
    return f"States exchanged: {'; '.join(parts)}."


def _return(rows: list[dict[str, Any]], dense: float, pruned: float) -> str:
    """From which depth on half of what was lost is back, in words; nothing where nothing was lost."""
    if pruned >= dense:
        return ""
    half = (dense + pruned) / 2
    stays = (row["dense"] for i, row in enumerate(rows) if all(later["margin"] >= half for later in rows[i:]))
    depth = next(stays, None)
    if depth is None:
        return ", and the dense state brings half of the loss back at no depth to stay"
    return f", and from depth {depth} on the dense state brings half of the loss back"


def _alone(rows: list[dict[str, Any]], against: str, value: str = "margin") -> float:
    """The pruned (`gain`) or dense (`change`) model's value by itself."""
    return float(rows[0][value] - rows[0][f"{value}_{against}"])


def _exchanged(found: InterventionResult[PatchSettings], table: pl.DataFrame, value: str, title: str) -> Chart:
    n_layers = found.trace.n_layers
    shown = placed(table, "dense").with_columns(which=pl.col("into").replace_strict(NAMES))
    hover = [
        *where("dense"),
        alt.Tooltip("pruned:Q", title="depth in the pruned model"),
        counted(),
        *numbers([f"{value}_change", f"{value}_gain"]),
    ]
    rows = table.to_dicts()
    alone = [
        level(_alone(rows, against, value), f"{name} by itself")
        for against, name in (("change", "dense"), ("gain", "pruned"))
    ]
    domain = (-1.0, 1.0) if value == "margin" else (0.0, 1.0)
    x = depth_axis(n_layers, "depth of the exchange in the dense model (blocks that are left)", "dense:Q")
    return alt.layer(
        *alone,
        *transition_mark(found.transition, n_layers),
        *lines(shown, x, value, title, "which", COLOURS, hover, domain),
    )
