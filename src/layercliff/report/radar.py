"""Radar plots side by side. Vega-Lite has no polar axes: both of its axes get the same scale here, whatever the
figure's width."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import altair as alt
import polars as pl

from layercliff.report.chart import INK, Chart
from layercliff.report.depth_chart import counted, legend, reading, where, written_by

PITCH = 2.9  # radii from the middle of a plot to the next one's
TALL = 3.0  # radii that plots take in height
LABEL = 1.1  # radii from a middle to a label
SHARE = ("share", "share_low", "share_high")

Point = TypeVar("Point")


@dataclass(frozen=True)
class Line:
    """A share for each spoke, with its interval and the depth of the dense model, where it has them."""

    shares: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    depth: int | None = None


@dataclass(frozen=True)
class Radar:
    """One plot of the answers to `n` questions, by the names of its lines."""

    title: str
    n: int
    lines: Mapping[str, Line]


def radars(
    plots: Sequence[Radar], answers: Sequence[str], labels: Sequence[str], colours: Mapping[str, str], dashed: str
) -> Chart:
    """Plots of shares of `answers`, one spoke each, clockwise from the top, which `labels` name.

    `colours` are those of the lines, of which one is `dashed`.
    """
    turns = [2 * math.pi * number / len(answers) for number in range(len(answers))]
    outer = max(1, math.ceil(10 * max(max(line.shares) for plot in plots for line in plot.lines.values()))) / 10
    middles = [(number - (len(plots) - 1) / 2) * PITCH for number in range(len(plots))]
    table, axes = _lines(plots, answers, turns, middles, outer), _places(len(plots))
    kinds = [line for line in colours if line in set(table["line"])]
    colour = alt.Color(
        "line:N",
        title=None,
        scale=alt.Scale(domain=kinds, range=[colours[kind] for kind in kinds]),
        legend=legend(),
    )
    drawn = alt.Chart(table).encode(**axes, color=colour, detail=alt.Detail("path:N"), order=alt.Order("order:Q"))
    dash = alt.condition(f"datum.line == '{dashed}'", alt.value([4, 3]), alt.value([1, 0]))
    hover = [
        alt.Tooltip("plot:N"),
        alt.Tooltip("line:N"),
        *where(),
        alt.Tooltip("answer:N"),
        counted(),
        *reading("share", "share", ".3f"),
    ]
    web = _web(turns, middles)
    base = alt.Chart(web).encode(**axes, detail=alt.Detail("path:N"), order=alt.Order("order:Q"))
    return alt.layer(
        base.mark_line(color=INK, opacity=0.35, strokeWidth=1),
        drawn.mark_line(strokeWidth=2.2, opacity=0.9).encode(strokeDash=dash),
        drawn.mark_point(filled=True, size=28, opacity=1).encode(tooltip=hover),
        *_text([plot.title for plot in plots], labels, turns, middles, outer, axes),
    )


def _lines(
    plots: Sequence[Radar], answers: Sequence[str], turns: Sequence[float], middles: Sequence[float], outer: float
) -> pl.DataFrame:
    """A row per plot, line and answer, with its place; `outer` is the share at the ends of the spokes."""
    rows = []
    for number, plot in enumerate(plots):
        for name, line in plot.lines.items():
            nothing = [None] * len(answers)
            places = _around([share / outer for share in line.shares], turns, middles[number])
            points = list(zip(answers, line.shares, line.low or nothing, line.high or nothing, places, strict=True))
            by = None if line.depth is None else written_by([line.depth])[0]
            rows += [
                (name, f"{name} {number}", plot.title, line.depth, by, plot.n, answer, *shares, x, y, order)
                for order, (answer, *shares, (x, y)) in enumerate(_closed(points))
            ]
    columns = ["line", "path", "plot", "depth", "written by", "n", "answer", *SHARE, "x", "y", "order"]
    return pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None)


def _web(turns: Sequence[float], middles: Sequence[float]) -> pl.DataFrame:
    """Two rings and the spokes of each plot, as paths."""
    rings = [
        (f"{middle} {ring}", x, y, order)
        for middle in middles
        for ring in (0.5, 1.0)
        for order, (x, y) in enumerate(_closed(_around([ring] * len(turns), turns, middle)))
    ]
    spokes = [
        (f"{middle} spoke {number}", *point, order)
        for middle in middles
        for number, end in enumerate(_around([1.0] * len(turns), turns, middle))
        for order, point in enumerate([(middle, 0.0), end])
    ]
    return pl.DataFrame([*rings, *spokes], schema=["path", "x", "y", "order"], orient="row")


def _around(radii: Sequence[float], turns: Sequence[float], middle: float) -> list[tuple[float, float]]:
    """The points at these radii from a middle, one on each spoke."""
    return [(middle + r * math.sin(turn), r * math.cos(turn)) for r, turn in zip(radii, turns, strict=True)]


def _places(n_plots: int) -> dict[str, Any]:
    """Both axes, in radii: as many as fit, so that one is as long in both."""
    radius = f"min(height / {TALL}, width / {PITCH * n_plots})"  # in pixels

    return {
        "x": alt.X("x:Q", axis=None, scale=_centred(f"width / 2 / {radius}")),
        "y": alt.Y("y:Q", axis=None, scale=_centred(f"height / 2 / {radius}")),
    }


def _centred(end: str) -> alt.Scale:
    return alt.Scale(domainMin=alt.ExprRef(f"-{end}"), domainMax=alt.ExprRef(end), nice=False, zero=False)


def _text(
    titles: Sequence[str],
    labels: Sequence[str],
    turns: Sequence[float],
    middles: Sequence[float],
    outer: float,
    places: dict[str, Any],
) -> Iterator[Chart]:
    """What stands at the ends of the spokes, what the rings stand for, and the titles of several plots."""
    ends = [
        (middle + LABEL * math.sin(turn), LABEL * math.cos(turn), label, math.sin(turn))
        for middle in middles
        for label, turn in zip(labels, turns, strict=True)
    ]
    around = pl.DataFrame(ends, schema=["x", "y", "text", "side"], orient="row")
    aligned: dict[Literal["left", "right", "center"], str] = {
        "left": "> 0.1",
        "right": "< -0.1",
        "center": ">= -0.1 && datum.side <= 0.1",
    }
    for align, beside in aligned.items():
        base = alt.Chart(around).transform_filter(f"datum.side {beside}").encode(**places, text=alt.Text("text:N"))
        yield base.mark_text(align=align, fontSize=10, limit=160)
    sizes = [(middle + 0.04, ring - 0.06, f"{ring * outer:.0%}") for middle in middles for ring in (0.5, 1.0)]
    rings = pl.DataFrame(sizes, schema=["x", "y", "text"], orient="row")
    yield alt.Chart(rings).mark_text(align="left", fontSize=9, color=INK).encode(**places, text=alt.Text("text:N"))
    if len(titles) > 1:
        heads = pl.DataFrame({"x": middles, "y": [0.05 - TALL / 2] * len(titles), "text": titles})
        yield (
            alt.Chart(heads)
            .mark_text(fontSize=12, fontWeight="bold", color=INK)
            .encode(**places, text=alt.Text("text:N"))
        )


def _closed(points: list[Point]) -> list[Point]:
    return [*points, points[0]]
