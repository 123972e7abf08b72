"""The figure of what foretells a collapse: each block by itself."""

from collections.abc import Iterator

import altair as alt
import polars as pl

from layercliff.report.chart import BLUE, Figure
from layercliff.report.depth_chart import counted, numbers
from layercliff.results.foretold import Foretelling
from layercliff.results.traced import described


def figures(found: Foretelling) -> Iterator[Figure]:
    """What the margin loses without each block."""
    measured = found.measured
    table = pl.DataFrame(
        {
            "block": range(found.n_layers),
            "n": measured.n_select,
            "lost": measured.margin - measured.without,
            "influence": measured.influence,
            "gate": measured.gates,
        }
    )
    hover = [
        "block:Q",
        counted(),
        alt.Tooltip("lost:Q", title="margin lost", format="+.4f"),
        *numbers(["influence", "gate"], ".4f"),
    ]
    bars = (
        alt.Chart(table)
        .mark_bar(color=BLUE)
        .encode(
            x=alt.X("block:O", title="block", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("lost:Q", title="margin lost without the block"),
            tooltip=hover,
        )
    )
    (task,) = found.subject.tasks
    caption = f"Hover for each block's influence and the derivative of the gold option's log-probability by its gate. {described(found.subject, task.name, f'n = {measured.n_select} of the select half')}."
    yield Figure("foretell-blocks", "What each block is worth alone", caption, bars)
