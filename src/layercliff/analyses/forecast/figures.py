"""The figure of a forecast: what each block is worth by itself."""

from collections.abc import Iterator

import altair as alt
import polars as pl

from layercliff.analyses.forecast.result import Forecast
from layercliff.analyses.forecast.words import sentence
from layercliff.analyses.trace.result import described
from layercliff.report.chart import BLUE, INK, Figure
from layercliff.report.depth_chart import counted, numbers, reading

__all__ = ["figures", "sentence"]


def figures(found: Forecast) -> Iterator[Figure]:
    """What the margin loses without each block."""
    measured = found.measured
    table = pl.DataFrame(
        {
            "block": range(found.n_layers),
            "n": measured.n_select,
            "lost": measured.margin - measured.without,
            "lost_low": measured.lost_low,
            "lost_high": measured.lost_high,
            "influence": measured.influence,
            "gate": measured.gates,
        }
    )
    hover = [
        "block:Q",
        counted(),
        *reading("lost", "margin lost", "+.4f"),
        *numbers(["influence", "gate"], ".4f"),
    ]
    base = alt.Chart(table).encode(x=alt.X("block:O", title="block", axis=alt.Axis(labelAngle=0)))
    height = alt.Y("lost:Q", title="margin lost without the block")
    bars = base.mark_bar(color=BLUE, opacity=0.6).encode(y=height, tooltip=hover)
    points = base.mark_point(filled=True, color=BLUE, opacity=1).encode(y=height, tooltip=hover)
    ends = base.mark_rule(color=INK).encode(y="lost_low:Q", y2="lost_high:Q")
    (task,) = found.subject.tasks
    about = described(found.subject, task.name, f"n = {measured.n_select} of the select half")
    caption = (
        "Lines are 95 % intervals over groups of questions. Hover for each block's influence and the derivative of the "
        f"gold option's log-probability by its gate. {about}."
    )
    yield Figure("forecast-blocks", "What each block is worth alone", caption, alt.layer(bars, ends, points))
