"""The figures of a trace."""

from collections.abc import Iterator

import altair as alt
import polars as pl

from layercliff.analyses.trace.result import Traced
from layercliff.metrics.analysis import Analysis
from layercliff.metrics.statistics import Curve
from layercliff.report import frequency_figures, words
from layercliff.report.chart import BLUE, INK, ORANGE, Chart, Figure, level
from layercliff.report.depth_chart import counted, depth_axis, legend, reading, where, written_by
from layercliff.report.frequency_figures import Answering

SILENT, DECISIVE = "#8a94a6", "#1b9e77"


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
                    (
                        "Mean Decision Margin, gold minus the best other option, with its "
                        f"{words.PERCENT} interval. {caption}."
                    ),
                    _margin(analysis),
                ),
                Figure(
                    f"{name}-accuracy",
                    "Layer accuracy",
                    (
                        f"Share of questions whose gold option wins, with its {words.PERCENT} "
                        f"interval; chance is dashed. {caption}."
                    ),
                    _accuracy(analysis),
                ),
                *frequency_figures.figures(
                    name, [Answering("dense", analysis, tuple(range(analysis.n_layers + 1)))], caption
                ),
            ],
        )


def _table(analysis: Analysis, curve: Curve) -> pl.DataFrame:
    depths = range(analysis.n_layers + 1)
    return pl.DataFrame(
        {
            "depth": depths,
            "written by": written_by(depths),
            "value": curve.point,
            "value_low": curve.low,
            "value_high": curve.high,
            "n": analysis.n_questions,
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
    base = alt.Chart(_table(analysis, curve)).encode(x=depth_axis(analysis.n_layers))
    y = alt.Y("value:Q", title=title, scale=alt.Scale(domain=list(domain)) if domain else alt.Scale(zero=True))
    hover = [*where(), counted(), *reading("value", title, form)]
    band = base.mark_area(opacity=0.25, color=colour).encode(
        y=alt.Y("value_low:Q", title=title), y2=alt.Y2("value_high:Q")
    )
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
        legend=legend(),
    )
    shading = alt.Chart(table).mark_rect(opacity=0.14).encode(x=alt.X("from:Q"), x2=alt.X2("to:Q"), color=colour)
    high = min(transition.high, analysis.n_layers)
    label = f"T = {transition.depth}  [{words.depth_interval(analysis)}]"
    mark = pl.DataFrame({"depth": [transition.depth], "low": [transition.low], "high": [high], "label": [label]})
    rule = alt.Chart(mark).mark_rule(color=INK, strokeDash=[4, 3], strokeWidth=1.5).encode(x=alt.X("depth:Q"))
    spread = (
        alt.Chart(mark)
        .mark_rule(color=INK, strokeWidth=5, opacity=0.5)
        .encode(x=alt.X("low:Q"), x2=alt.X2("high:Q"), y=alt.value(4))
    )
    left = transition.depth > analysis.n_layers * 0.6
    text = (
        alt.Chart(mark)
        .mark_text(
            align="right" if left else "left", dx=-6 if left else 6, dy=0, fontSize=12, fontWeight="bold", color=INK
        )
        .encode(x=alt.X("depth:Q"), y=alt.value(14), text=alt.Text("label:N"))
    )
    return [shading, rule, spread, text]


def _half(analysis: Analysis) -> list[Chart]:
    """T_half and its interval, below; nothing where the jump is not shown."""
    found = analysis.half
    if not analysis.jump.shown or found.depth is None:
        return []
    high = min(found.high, analysis.n_layers)
    mark = pl.DataFrame({"depth": [found.depth], "low": [found.low], "high": [high], "label": [f"T½ = {found.depth}"]})
    rule = alt.Chart(mark).mark_rule(color=SILENT, strokeDash=[1, 3], strokeWidth=2).encode(x=alt.X("depth:Q"))
    spread = (
        alt.Chart(mark)
        .mark_rule(color=SILENT, strokeWidth=5, opacity=0.6)
        .encode(x=alt.X("low:Q"), x2=alt.X2("high:Q"), y=alt.value("height"))
    )
    text = (
        alt.Chart(mark)
        .mark_text(align="right", dx=-5, dy=-10, fontSize=11, color=SILENT)
        .encode(x=alt.X("depth:Q"), y=alt.value("height"), text=alt.Text("label:N"))
    )
    return [rule, spread, text]


def _margin(analysis: Analysis) -> Chart:
    return alt.layer(
        *_phases(analysis),
        *_half(analysis),
        level(0.0, ""),
        _line(analysis, analysis.margin, "decision margin", BLUE, (-1.0, 1.0)),
    )


def _accuracy(analysis: Analysis) -> Chart:
    chance = level(analysis.chance, f"chance {analysis.chance:.2f}")
    return alt.layer(
        *_phases(analysis), chance, _line(analysis, analysis.accuracy, "layer accuracy", ORANGE, (0.0, 1.0), ".3f")
    )
