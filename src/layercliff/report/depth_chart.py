"""What figures over depth have in common: the axis, the mark of the transition, lines with their bands."""

from collections.abc import Sequence

import altair as alt
import polars as pl

from layercliff.report.chart import INK, Chart


def depth_axis(n_layers: int, title: str = "depth (blocks passed)", field: str = "depth:Q") -> alt.X:
    """Depth 0..L."""
    step = 1 if n_layers <= 36 else 4
    return alt.X(
        field,
        title=title,
        scale=alt.Scale(domain=[0, n_layers], nice=False),
        axis=alt.Axis(values=list(range(0, n_layers + 1, step)), grid=False, format="d"),
    )


def block_axis(n_layers: int, title: str, field: str = "place:Q") -> alt.X:
    """Block 0..L-1."""
    step = 1 if n_layers <= 36 else 4
    return alt.X(
        field,
        title=title,
        scale=alt.Scale(domain=[-0.5, n_layers - 0.5], nice=False),
        axis=alt.Axis(values=list(range(0, n_layers, step)), grid=False, format="d"),
    )


def transition_mark(depth: int | None, n_layers: int, shift: float = 0.0) -> list[Chart]:
    """A dashed line at T with its label; nothing for an undecided model. `shift` is where depth 0 lies on the axis: before block 0 at -1/2."""
    if depth is None:
        return []
    left = depth > n_layers * 0.6
    mark = pl.DataFrame({"T": [depth + shift], "label": [f"T = {depth}"]})
    rule = alt.Chart(mark).mark_rule(color=INK, strokeDash=[4, 3], strokeWidth=1.5).encode(x="T:Q")
    text = (
        alt.Chart(mark)
        .mark_text(align="right" if left else "left", dx=-6 if left else 6, fontSize=12, fontWeight="bold", color=INK)
        .encode(x="T:Q", y=alt.value(10), text="label:N")
    )
    return [rule, text]


def lines(
    table: pl.DataFrame,
    x: alt.X,
    value: str,
    title: str,
    by: str,
    colours: dict[str, str],
    hover: Sequence[str | alt.Tooltip],
    domain: tuple[float, float] | None = None,
    log: bool = False,
) -> list[Chart]:
    """A line per value of the column `by`, of the column `value` with its band from ``<value>_low`` to ``<value>_high``; `log`: on a logarithmic axis."""
    colour = alt.Color(
        f"{by}:N",
        title=None,
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=alt.Legend(orient="top", symbolOpacity=1),
    )
    scale = alt.Scale(type="log") if log else alt.Scale(domain=list(domain)) if domain else alt.Scale(zero=True)
    y = alt.Y(f"{value}:Q", title=title, scale=scale)
    base = alt.Chart(table).encode(x=x, color=colour)
    band = base.mark_area(opacity=0.18).encode(
        y=alt.Y(f"{value}_low:Q", title=title, scale=scale), y2=f"{value}_high:Q"
    )
    points = base.mark_point(filled=True, size=42, opacity=1).encode(y=y, tooltip=list(hover))
    return [band, base.mark_line(strokeWidth=2).encode(y=y), points]


def numbers(names: Sequence[str], form: str = "+.3f") -> list[alt.Tooltip]:
    """Columns as numbers on hover."""
    return [alt.Tooltip(f"{name}:Q", format=form) for name in names]
