"""The figure of several criteria side by side."""

from collections.abc import Iterator, Sequence

import altair as alt

from layercliff.comparison import result as compared
from layercliff.pruning.result import Pruned
from layercliff.report import words
from layercliff.report.chart import Chart, Figure, level
from layercliff.report.depth_chart import counted, legend, reading


def figures(found: Sequence[Pruned]) -> Iterator[Figure]:
    """Accuracy against the share of blocks removed, a line per criterion."""
    if len(found) < 2:
        return
    bands = f"{words.PERCENT} intervals over questions" + (
        "; of random, the mean of its draws and the range of their middle 90 %"
        if any(p.criterion.drawn for p in found)
        else ""
    )
    text = (
        f"Accuracy of every criterion's path on the same questions that took no part in any choice, with {bands}. "
        f"{found[0].caption()}."
    )
    yield Figure("compare-accuracy", "Criteria side by side", text, _accuracy(found))


def _accuracy(found: Sequence[Pruned]) -> Chart:
    table = compared.steps_table(found).with_columns(n=len(found[0].traces[0].questions))
    names = [path.criterion_name for path in found]
    pick = alt.selection_point(fields=["criterion"], bind="legend")
    base = alt.Chart(table).encode(
        x=alt.X("ratio:Q", title="share of blocks removed", axis=alt.Axis(format="%", grid=False)),
        color=alt.Color(
            "criterion:N",
            title=None,
            scale=alt.Scale(domain=names, scheme="tableau10"),
            legend=legend(),
        ),
        opacity=alt.condition(pick, alt.value(1.0), alt.value(0.12)),
    )
    y = alt.Y("accuracy:Q", title="accuracy (report half)", scale=alt.Scale(domain=[0, 1]))
    hover = [
        "criterion:N",
        alt.Tooltip("removed:Q", title="blocks removed"),
        counted(),
        *reading("accuracy", "accuracy", ".3f", ""),
    ]
    hover += [*reading("loss", "accuracy lost", interval=""), *reading("less", f"below {names[0]}", interval="")]
    band = base.mark_area().encode(
        y=alt.Y("accuracy_low:Q", title="accuracy (report half)"), y2=alt.Y2("accuracy_high:Q"),
        opacity=alt.condition(pick, alt.value(0.12), alt.value(0.02)),
    )  # fmt: skip
    points = base.mark_point(filled=True, size=40).encode(y=y, tooltip=hover).add_params(pick)
    return alt.layer(level(found[0].main(0).chance, "chance"), band, base.mark_line(strokeWidth=2).encode(y=y), points)
