"""The figures of exchanged states."""

from collections.abc import Iterator
from typing import Any

import altair as alt
import polars as pl

from layercliff.report import words
from layercliff.report.chart import BLUE, HEAVY, Chart, Figure, level
from layercliff.report.depth_chart import depth_axis, lines, numbers, transition_mark
from layercliff.results import patched
from layercliff.results.probed import Probed

COLOURS = {"dense state into the pruned model": BLUE, "pruned state into the dense model": HEAVY}
NAMES = dict(zip(patched.INTO, COLOURS, strict=True))


def figures(found: Probed) -> Iterator[Figure]:
    """Margin and accuracy of both patched models over the depth of the exchange, of every step."""
    table = patched.table(found).filter(pl.col("task") == found.name)
    where = "at all positions" if found.about["positions"] == "all" else "at the positions that are read"
    for step, kept in found.about["steps"].items():
        removed = found.trace.n_layers - len(kept)
        some = table.filter(pl.col("step") == int(step))
        for value, title in (("margin", "decision margin"), ("accuracy", "accuracy")):
            text = f"The {title} at the last depth when one model goes on with the other's state {where}, by the block after which it gets it, with {words.PERCENT} intervals; {removed} blocks removed. Dashed: the dense and the pruned model by themselves. {found.caption(f'n = {len(found.trace.questions)} (report half)')}, path by {found.about['score']}."
            yield Figure(
                f"patch-step-{step}-{value}",
                f"States exchanged, step {step}: {title}",
                text,
                _exchanged(found, some, value, title),
            )


def sentence(found: Probed) -> str:
    """From which depth on the dense state brings the decision back, per step."""
    table = patched.table(found).filter((pl.col("task") == found.name) & (pl.col("into") == "pruned"))
    parts = []
    for step, kept in found.about["steps"].items():
        rows = table.filter(pl.col("step") == int(step)).sort("pruned").to_dicts()
        half = (_alone(rows, "gain") + _alone(rows, "change")) / 2
        back = next(
            (r["dense"] for i, r in enumerate(rows) if all(later["margin"] >= half for later in rows[i:])), None
        )
        removed = found.trace.n_layers - len(kept)
        where = (
            "no depth brings it back to stay"
            if back is None
            else f"from depth {back} on the dense state brings back half of what it lost"
        )
        parts.append(
            f"with {removed} blocks removed the margin is {_alone(rows, 'gain'):+.2f} (dense {_alone(rows, 'change'):+.2f}), and {where}"
        )
    return f"Patched: {'; '.join(parts)}."


def _alone(rows: list[dict[str, Any]], against: str, value: str = "margin") -> float:
    """The pruned (`gain`) or dense (`change`) model's value by itself."""
    return float(rows[0][value] - rows[0][f"{value}_{against}"])


def _exchanged(found: Probed, table: pl.DataFrame, value: str, title: str) -> Chart:
    n_layers = found.trace.n_layers
    shown = table.with_columns(which=pl.col("into").replace_strict(NAMES))
    hover: list[str | alt.Tooltip] = ["which:N", "dense:Q", "pruned:Q", "n:Q"]
    hover += numbers([value, f"{value}_low", f"{value}_high", f"{value}_change", f"{value}_gain"])
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
