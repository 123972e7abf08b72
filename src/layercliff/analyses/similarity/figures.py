"""The figures of similarity: heat maps of all pairs of depths, and lines of matching ones."""

from collections.abc import Iterator
from typing import Any

import altair as alt
import polars as pl

from layercliff.analyses.similarity.result import ABOUT, Similar
from layercliff.report import words
from layercliff.report.chart import BLUE, GREEN, HEAVY, INK, PURPLE, Chart, Figure
from layercliff.report.depth_chart import counted, depth_axis, lines, numbers, placed, reading, where

SHORT = {"tokens": "all tokens", "decision": "deciding token", "options": "decisions", "random": "random rows"}
COLOURS = dict(zip(SHORT.values(), (BLUE, GREEN, HEAVY, PURPLE), strict=True))
HEIGHT = 300
UNKNOWN = "#b9c0c9"


def figures(found: Similar) -> Iterator[Figure]:
    """Of each task: a heat map per map, plain and on standardised features, and the matching depths of every step."""
    for task in dict.fromkeys(found.table["task"]):
        table = found.table.filter(pl.col("task") == task)
        for standardised in (False, True):
            scaled = " on standardised features" if standardised else ""
            for what, about in ABOUT.items():
                some = table.filter((pl.col("what") == what) & (pl.col("standardised") == standardised))
                name = f"similarity-{task}-{what}{'-standardised' if standardised else ''}"
                text = (
                    f"Debiased linear CKA{scaled} of {about} between all depths of the dense and "
                    "of pruned models; a cell with a dot is at a matching block. "
                    f"{_empty(some)}{found.caption(task, what)}."
                )
                yield Figure(name, f"Similarity of {SHORT[what]}{scaled}", text, _map(some, found), height=HEIGHT)
        for step in _pruned(found):
            some = table.filter((pl.col("step") == int(step)) & ~pl.col("standardised"))
            text = (
                "Debiased linear CKA of the dense and the pruned model at matching blocks, "
                f"{words.blocks_of(_removed(found, step))} removed, with {words.PERCENT} "
                "intervals from subsamples of half of the questions; with samples paired at "
                f"random it is {_shuffled(found, task, step)}. {_sizes(some)}; "
                f"{found.caption(task, 'options')}."
            )
            yield Figure(
                f"similarity-{task}-step-{step}",
                f"Similarity at matching depths, step {step}",
                text,
                _matching(some, found, step),
            )


def sentence(found: Similar) -> str:
    """States against decisions at the last depths of each step."""
    table = found.summary.filter((pl.col("task") == found.summary["task"][0]) & ~pl.col("standardised"))
    parts = []
    for step in _pruned(found):
        rows = {row["what"]: row for row in table.filter(pl.col("step") == int(step)).to_dicts()}
        values = ", ".join(f"{SHORT[what]} {_value(row, 'last')}" for what, row in rows.items())
        parts.append(f"without {words.blocks_of(_removed(found, step))} {values}")
    return f"Debiased CKA of the last depths, dense against pruned: {'; '.join(parts)}."


def _pruned(found: Similar) -> list[str]:
    """The steps but for the dense model, which is like itself at matching depths."""
    return [step for step in found.settings.steps if step != "0"] or ["0"]


def _value(row: dict[str, Any], name: str) -> str:
    ends = [row[name], row[f"{name}_low"], row[f"{name}_high"]]
    point, low, high = (float("nan") if end is None else end for end in ends)
    return f"{point:.2f} [{low:.2f}, {high:.2f}]"


def _called(found: Similar, step: str) -> str:
    return "the dense model" if step == "0" else f"the model with {words.blocks_of(_removed(found, step))} removed"


def _removed(found: Similar, step: str) -> int:
    n_layers = found.table["dense"].max()
    assert isinstance(n_layers, int)
    return n_layers - len(found.settings.steps[step])


def _shuffled(found: Similar, task: str, step: str) -> str:
    rows = found.summary.filter((pl.col("task") == task) & (pl.col("step") == int(step)) & ~pl.col("standardised"))
    return ", ".join(f"{_measured(row['third_shuffled'])} ({SHORT[row['what']]})" for row in rows.to_dicts())


def _measured(value: float | None) -> str:
    """A number with its sign; one that was not measured is not 0."""
    return "not measured" if value is None else f"{value:+.3f}"


def _sizes(table: pl.DataFrame) -> str:
    rows = table.unique("what", keep="first", maintain_order=True).to_dicts()
    return ", ".join(f"{SHORT[row['what']]}: n = {row['n']}, d = {row['d']}" for row in rows)


def _empty(table: pl.DataFrame) -> str:
    return "Grey: a state that is the same for all samples. " if table["cka"].null_count() else ""


def _matched(found: Similar) -> pl.Expr:
    """Whether a row pairs the depths of the same block."""
    keys = [(int(step), 0, 0) for step in found.settings.steps]
    keys += [
        (int(s), block + 1, depth) for s, kept in found.settings.steps.items() for depth, block in enumerate(kept, 1)
    ]
    return pl.struct("step", "dense", "pruned").is_in([{"step": s, "dense": a, "pruned": b} for s, a, b in keys])


def _about() -> list[alt.Tooltip]:
    """Which depths a value is of, and how many samples and features."""
    own = [
        alt.Tooltip("pruned:Q", title="depth in the pruned model"),
        counted("samples"),
        alt.Tooltip("d:Q", title="features"),
    ]
    return [*where("dense"), *own, *numbers(["shuffled", "shuffled_size"])]


def _map(table: pl.DataFrame, found: Similar) -> Chart:
    shown = (
        placed(table, "dense")
        .rename({"low": "cka_low", "high": "cka_high"})
        .with_columns(
            column=pl.format("{}·{}", pl.col("step"), pl.col("pruned")),
            matching=_matched(found),
        )
    )
    columns = list(dict.fromkeys(shown.sort("step", "pruned", maintain_order=True)["column"]))
    steps = [step for step in found.settings.steps if f"{step}·0" in columns]
    domain = [
        c
        for number, step in enumerate(steps)
        for c in ([f"gap{number}·"] if number else []) + [c for c in columns if c.split("·")[0] == step]
    ]
    x = alt.X(
        "column:N",
        sort=domain,
        title=f"depth of {', then '.join(_called(found, s) for s in steps)}",
        scale=alt.Scale(domain=domain, paddingInner=0.02),
        axis=alt.Axis(labelExpr="split(datum.label, '·')[1]", labelAngle=0, labelOverlap=True, ticks=False),
    )
    y = alt.Y(
        "dense:O",
        title="depth of the dense model",
        sort="descending",
        scale=alt.Scale(paddingInner=0.02),
        axis=alt.Axis(labelOverlap=True),
    )
    hover = [alt.Tooltip("step:Q"), *_about(), *reading("cka", "debiased CKA")]
    colour = alt.Color("cka:Q", title="CKA", scale=alt.Scale(scheme="viridis", domain=[0, 1], clamp=True))
    known, unknown = shown.drop_nulls("cka"), shown.filter(pl.col("cka").is_null())
    cells = [alt.Chart(known).mark_rect().encode(x=x, y=y, color=colour, tooltip=hover)]
    if len(unknown):
        cells.append(alt.Chart(unknown).mark_rect(color=UNKNOWN).encode(x=x, y=y, tooltip=hover))
    dots = (
        alt.Chart(shown.filter("matching"))
        .mark_point(filled=True, size=14, color="white", opacity=0.9)
        .encode(x=x, y=y, tooltip=hover)
    )
    return alt.layer(*cells, dots)


def _matching(table: pl.DataFrame, found: Similar, step: str) -> Chart:
    shown = placed(table.filter(_matched(found)), "dense").rename({"low": "cka_low", "high": "cka_high"})
    shown = shown.with_columns(what=pl.col("what").replace_strict(SHORT))
    n_layers = table["dense"].max()
    assert isinstance(n_layers, int)
    zero = alt.Chart(pl.DataFrame({"y": [0.0]})).mark_rule(color=INK, strokeDash=[5, 4]).encode(y=alt.Y("y:Q"))
    x = depth_axis(n_layers, "depth in the dense model (blocks that are left)", "dense:Q")
    return alt.layer(zero, *lines(shown.drop_nulls("cka"), x, "cka", "debiased CKA", "what", COLOURS, _about()))
