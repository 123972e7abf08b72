"""What figures over depth have in common: the axis, the mark of the transition, lines with their bands, and what a
mark says on hover."""

from collections.abc import Iterable, Sequence
from typing import Literal

import altair as alt
import polars as pl

from layercliff.report.chart import INK, Chart
from layercliff.report.words import PERCENT

COLUMNS = 5  # of a legend; the page takes fewer where it is narrow


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
    """A dashed line at T with its label; nothing for an undecided model. `shift` is where depth 0 lies on the axis:
    before block 0 at -1/2."""
    if depth is None:
        return []
    left = depth > n_layers * 0.6
    mark = pl.DataFrame({"T": [depth + shift], "label": [f"T = {depth}"]})
    rule = alt.Chart(mark).mark_rule(color=INK, strokeDash=[4, 3], strokeWidth=1.5).encode(x=alt.X("T:Q"))
    text = (
        alt.Chart(mark)
        .mark_text(align="right" if left else "left", dx=-6 if left else 6, fontSize=12, fontWeight="bold", color=INK)
        .encode(x=alt.X("T:Q"), y=alt.value(10), text=alt.Text("label:N"))
    )
    return [rule, text]


def lines(
    table: pl.DataFrame,
    x: alt.X,
    value: str,
    title: str,
    by: str,
    colours: dict[str, str],
    hover: Sequence[alt.Tooltip],
    domain: tuple[float, float] | Literal["log"] | None = None,
) -> list[Chart]:
    """A line with its band for each value of the column `by`.

    The line is the column `value`, the band reaches from ``<value>_low`` to ``<value>_high``. With the `domain`
    ``log`` the axis is logarithmic. On hover a point says what it is of, what `hover` adds, and its value with the
    interval.
    """
    colour = alt.Color(
        f"{by}:N",
        title=None,
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=legend(),
    )
    scale = _scale(domain)
    y = alt.Y(f"{value}:Q", title=title, scale=scale)
    base = alt.Chart(table).encode(x=x, color=colour)
    band = base.mark_area(opacity=0.18).encode(
        y=alt.Y(f"{value}_low:Q", title=title, scale=scale), y2=alt.Y2(f"{value}_high:Q")
    )
    unsigned = domain == "log" or (isinstance(domain, tuple) and domain[0] >= 0)
    told = [alt.Tooltip(f"{by}:N"), *hover, *reading(value, title, ".3f" if unsigned else "+.3f")]
    points = base.mark_point(filled=True, size=42, opacity=1).encode(y=y, tooltip=told)
    return [band, base.mark_line(strokeWidth=2).encode(y=y), points]


def _scale(domain: tuple[float, float] | Literal["log"] | None) -> alt.Scale:
    if domain == "log":
        return alt.Scale(type="log")
    return alt.Scale(domain=list(domain)) if domain else alt.Scale(zero=True)


def legend(orient: Literal["top", "bottom"] = "top") -> alt.Legend:
    """Above or below the figure."""
    return alt.Legend(orient=orient, symbolOpacity=1, columns=COLUMNS)


def written_by(depths: Iterable[int]) -> list[str]:
    """What each depth of the dense model was written by."""
    return [f"block {depth - 1}" if depth else "embeddings" for depth in depths]


def placed(table: pl.DataFrame, depth: str = "depth") -> pl.DataFrame:
    """A table with the block that wrote each row's depth, for `where`."""
    return table.with_columns(pl.Series("written by", written_by(table[depth]), pl.String))


def where(depth: str = "depth") -> list[alt.Tooltip]:
    """A depth of the dense model on hover, and the block that wrote it."""
    return [alt.Tooltip(f"{depth}:Q", title="depth"), alt.Tooltip("written by:N")]


def reading(value: str, title: str, form: str = "+.3f", interval: str = f"{PERCENT} ") -> list[alt.Tooltip]:
    """A column on hover, with both ends of its interval, ``<value>_low`` and ``<value>_high``."""
    ends = [
        alt.Tooltip(f"{value}_{end}:Q", title=f"{title}, {interval}{end}", format=form) for end in ("low", "high")
    ]  # two of a name would be shown as one
    return [alt.Tooltip(f"{value}:Q", title=title, format=form), *ends]


def counted(what: str = "questions") -> alt.Tooltip:
    """The column ``n`` on hover."""
    return alt.Tooltip("n:Q", title=what)


def numbers(names: Sequence[str], form: str = "+.3f") -> list[alt.Tooltip]:
    """Columns as numbers on hover."""
    return [alt.Tooltip(f"{name}:Q", format=form) for name in names]
