"""The figures of a trace."""

from collections.abc import Iterator
from typing import Any

import altair as alt
import polars as pl

from layercliff.metrics.analysis import Analysis
from layercliff.metrics.statistics import Curve
from layercliff.report import words
from layercliff.report.chart import BLUE, GREEN, INK, ORANGE, PALETTE, PURPLE, Chart, Figure, level
from layercliff.results.traced import Traced

SILENT, DECISIVE = "#8a94a6", "#1b9e77"
SHOWN_ANSWERS = 8


def figures(traced: Traced) -> Iterator[tuple[str, list[Figure]]]:
    """The figures of each task, and of all together when there are several: (name, figures)."""
    for name, analysis in traced.analyses.items():
        caption = traced.caption(name)
        yield (
            name,
            [
                Figure(
                    f"{name}-margin",
                    "Decision margin",
                    f"Mean Decision Margin, gold minus the best other option, with its {words.PERCENT} interval. {caption}.",
                    _margin(analysis),
                ),
                Figure(
                    f"{name}-accuracy",
                    "Layer accuracy",
                    f"Share of questions whose gold option wins, with its {words.PERCENT} interval; chance is dashed. {caption}.",
                    _accuracy(analysis),
                ),
                *_frequency_figures(name, analysis, caption),
            ],
        )


def _frequency_figures(name: str, analysis: Analysis, caption: str) -> Iterator[Figure]:
    of = analysis.frequency
    if of is None:
        return
    shown = f"the {SHOWN_ANSWERS} that win most at any depth" if len(of.labels) > SHOWN_ANSWERS else "all"
    counted = (
        ""
        if of.n_counted == analysis.n_questions
        else f" {of.n_counted} questions of the usual number of options are counted."
    )
    text = f"Share of questions each answer wins ({shown} of {len(of.labels)} answers); the last bar is the gold answers.{counted} {caption}."
    yield Figure(f"{name}-frequency", "Option frequency", text, _frequency(analysis))
    text = f"Divergence of the option frequency from the gold answers, 1/2 added to every count, with its {words.PERCENT} interval. {caption}."
    yield Figure(f"{name}-divergence", "Prediction bias", text, _divergence(analysis))


def _x(analysis: Analysis) -> alt.X:
    step = 1 if analysis.n_layers <= 36 else 4
    return alt.X(
        "depth:Q",
        title="depth (blocks passed)",
        scale=alt.Scale(domain=[0, analysis.n_layers], nice=False),
        axis=alt.Axis(values=list(range(0, analysis.n_layers + 1, step)), grid=False, format="d"),
    )


def _table(analysis: Analysis, curve: Curve, **more: Any) -> pl.DataFrame:
    depths = range(analysis.n_layers + 1)
    block = ["embeddings", *(f"block {b}" for b in range(analysis.n_layers))]
    return pl.DataFrame(
        {
            "depth": depths,
            "block": block,
            "value": curve.point,
            "low": curve.low,
            "high": curve.high,
            "n": analysis.n_questions,
            **more,
        }
    )


def _line(
    analysis: Analysis,
    curve: Curve,
    title: str,
    colour: str,
    domain: tuple[float, float] | None = None,
    form: str = "+.3f",
) -> Chart:
    base = alt.Chart(_table(analysis, curve)).encode(x=_x(analysis))
    y = alt.Y("value:Q", title=title, scale=alt.Scale(domain=list(domain)) if domain else alt.Scale(zero=True))
    hover = [
        alt.Tooltip("depth:Q"),
        alt.Tooltip("block:N", title="written by"),
        alt.Tooltip("value:Q", title=title, format=form),
        *(alt.Tooltip(f"{end}:Q", title=f"{words.PERCENT} {end}", format=form) for end in ("low", "high")),
        alt.Tooltip("n:Q", title="questions"),
    ]
    band = base.mark_area(opacity=0.25, color=colour).encode(y=alt.Y("low:Q", title=title), y2="high:Q")
    line = base.mark_line(color=colour, strokeWidth=2).encode(y=y)
    points = base.mark_point(color=colour, filled=True, size=45, opacity=1).encode(y=y, tooltip=hover)
    return alt.layer(band, line, points)


def _phases(analysis: Analysis) -> list[Chart]:
    """Shading of the two phases, the transition depth and its interval; nothing for an undecided model."""
    transition = analysis.transition
    if transition.depth is None:
        return []
    rows = [("Silent Phase", 0, transition.depth), ("Decisive Phase", transition.depth, analysis.n_layers)]
    table = pl.DataFrame([row for row in rows if row[1] < row[2]], schema=["phase", "from", "to"], orient="row")
    colour = alt.Color(
        "phase:N",
        title=None,
        scale=alt.Scale(domain=["Silent Phase", "Decisive Phase"], range=[SILENT, DECISIVE]),
        legend=alt.Legend(orient="top", symbolOpacity=0.5),
    )
    shading = alt.Chart(table).mark_rect(opacity=0.14).encode(x="from:Q", x2="to:Q", color=colour)
    high = min(transition.high, analysis.n_layers)
    label = f"T = {transition.depth}  [{words.depth_interval(analysis)}]"
    mark = pl.DataFrame({"depth": [transition.depth], "low": [transition.low], "high": [high], "label": [label]})
    rule = alt.Chart(mark).mark_rule(color=INK, strokeDash=[4, 3], strokeWidth=1.5).encode(x="depth:Q")
    spread = (
        alt.Chart(mark).mark_rule(color=INK, strokeWidth=5, opacity=0.5).encode(x="low:Q", x2="high:Q", y=alt.value(4))
    )
    left = transition.depth > analysis.n_layers * 0.6
    text = (
        alt.Chart(mark)
        .mark_text(
            align="right" if left else "left", dx=-6 if left else 6, dy=0, fontSize=12, fontWeight="bold", color=INK
        )
        .encode(x="depth:Q", y=alt.value(14), text="label:N")
    )
    return [shading, rule, spread, text]


def _margin(analysis: Analysis) -> Chart:
    return alt.layer(
        *_phases(analysis), level(0.0, ""), _line(analysis, analysis.margin, "decision margin", BLUE, (-1.0, 1.0))
    )


def _accuracy(analysis: Analysis) -> Chart:
    chance = level(analysis.chance, f"chance {analysis.chance:.2f}")
    return alt.layer(
        *_phases(analysis), chance, _line(analysis, analysis.accuracy, "layer accuracy", ORANGE, (0.0, 1.0), ".3f")
    )


def _frequency(analysis: Analysis) -> Chart:
    of = analysis.frequency
    assert of is not None
    order = sorted(range(len(of.labels)), key=lambda c: -of.share[:, c].max())[:SHOWN_ANSWERS]
    shown = sorted(order) if len(of.labels) <= SHOWN_ANSWERS else order
    rows: list[tuple[object, ...]] = []
    for depth in range(analysis.n_layers + 1):
        rows += [
            (
                str(depth),
                _block(depth),
                of.labels[c],
                *(float(a[depth, c]) for a in (of.share, of.low, of.high)),
                float(of.offered[c]),
                i,
            )
            for i, c in enumerate(shown)
        ]
    rows += [
        ("gold", "gold answers", of.labels[c], *(float(of.gold[c]),) * 3, float(of.offered[c]), i)
        for i, c in enumerate(shown)
    ]
    names = [of.labels[c] for c in shown]
    if len(of.labels) > len(shown):
        rest = f"other ({len(of.labels) - len(shown)})"
        names.append(rest)
        for depth in range(analysis.n_layers + 1):
            rows.append(
                (str(depth), _block(depth), rest, *(1 - float(of.share[depth, shown].sum()),) * 3, 1.0, len(shown))
            )
        rows.append(("gold", "gold answers", rest, *(1 - float(of.gold[shown].sum()),) * 3, 1.0, len(shown)))
    table = pl.DataFrame(
        rows, schema=["column", "written by", "answer", "share", "low", "high", "offered", "order"], orient="row"
    )
    columns = [*map(str, range(analysis.n_layers + 1)), "gold"]
    return (
        alt.Chart(table)
        .mark_bar()
        .encode(
            x=alt.X(
                "column:N",
                sort=columns,
                title="depth (blocks passed)",
                axis=alt.Axis(labelAngle=0),
                scale=alt.Scale(paddingInner=0.08),
            ),
            y=alt.Y("share:Q", title="share of questions won", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("answer:N", sort=names, scale=alt.Scale(domain=names, range=PALETTE), title=None),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("column:N", title="depth"),
                "written by:N",
                "answer:N",
                *(alt.Tooltip(f"{c}:Q", format=".3f") for c in ("share", "low", "high", "offered")),
            ],
        )
    )


def _block(depth: int) -> str:
    return f"block {depth - 1}" if depth else "embeddings"


def _divergence(analysis: Analysis) -> Chart:
    of = analysis.frequency
    assert of is not None
    curves = {"KL(OF || gold)": of.kl, "JS": of.js}
    table = pl.concat(
        [_table(analysis, curve).with_columns(pl.lit(name).alias("measure")) for name, curve in curves.items()]
    )
    colour = alt.Color(
        "measure:N",
        title=None,
        scale=alt.Scale(domain=list(curves), range=[PURPLE, GREEN]),
        legend=alt.Legend(orient="top"),
    )
    base = alt.Chart(table).encode(x=_x(analysis), color=colour)
    hover = [
        "measure:N",
        "depth:Q",
        alt.Tooltip("block:N", title="written by"),
        *(alt.Tooltip(f"{c}:Q", format=".3f") for c in ("value", "low", "high")),
    ]
    band = base.mark_area(opacity=0.2).encode(y=alt.Y("low:Q", title="divergence (nats)"), y2="high:Q")
    points = base.mark_point(filled=True, size=40, opacity=1).encode(y="value:Q", tooltip=hover)
    return alt.layer(band, base.mark_line(strokeWidth=2).encode(y="value:Q"), points)
