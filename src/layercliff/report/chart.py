"""Vega-Lite charts: interactive on the page, and PNG, SVG or PDF without a browser."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import polars as pl

from layercliff.output import printable_within
from layercliff.run import stored_files

WIDTH, HEIGHT = 640, 250
BLUE, ORANGE, GREEN, PURPLE, INK = "#2f6db3", "#d9780d", "#1b9e77", "#8456a8", "#7d8794"
HEAVY = "#d9480f"
PALETTE = ["#2f6db3", "#e69f00", "#1b9e77", "#cc79a7", "#56b4e9", "#d55e00", "#8456a8", "#a6a23c", "#b9c0c9"]
FORMATS = ("png", "svg", "pdf")

Chart = Any  # an altair chart; layering gives one of several classes


@dataclass(frozen=True)
class Figure:
    """A chart with its name (part of a file's name), heading and caption."""

    name: str
    heading: str
    caption: str
    chart: Chart
    height: int = HEIGHT

    def sized(self, width: int | str) -> dict[str, Any]:
        """The Vega-Lite specification at a width, or ``container`` to fill the page's."""
        return specification(self.chart, width, self.height)


def specification(chart: Chart, width: int | str, height: int = HEIGHT) -> dict[str, Any]:
    """A chart in Vega-Lite, not checked against its schema: that takes long, and `write` does it for files."""
    plain: dict[str, Any] = chart.to_dict(validate=False)
    return plain | {"width": width, "height": height}


def write(figures: Iterable[Figure], directory: Path, formats: tuple[str, ...] = FORMATS) -> list[Path]:
    """Write figures into `directory` as each of `formats`. **Returns** the paths.

    Control characters are written out: what draws the figures ends the process at some of them.
    """
    import vl_convert

    paths = []
    for figure in figures:
        title = alt.TitleParams(figure.heading, subtitle=_wrapped(figure.caption))
        chart = figure.chart.properties(width=WIDTH, height=figure.height, title=title)
        specification = chart.configure(background="white", **_look()).to_dict()
        specification = printable_within(specification)
        for kind in formats:
            path = directory / f"{figure.name}.{kind}"
            if kind == "png":
                stored_files.write_bytes(path, vl_convert.vegalite_to_png(specification, ppi=200))
            elif kind == "pdf":
                stored_files.write_bytes(path, vl_convert.vegalite_to_pdf(specification))
            else:
                stored_files.write_text(path, vl_convert.vegalite_to_svg(specification))
            paths.append(path)
    return paths


def level(value: float, label: str) -> Chart:
    """A dashed horizontal line with its label."""
    table = pl.DataFrame({"level": [value], "label": [label]})
    rule = alt.Chart(table).mark_rule(strokeDash=[5, 4], color=INK).encode(y=alt.Y("level:Q"))
    text = (
        alt.Chart(table)
        .mark_text(x=0, align="left", dx=4, dy=-7, fontSize=11, color=INK)
        .encode(y=alt.Y("level:Q"), text=alt.Text("label:N"))
    )
    return alt.layer(rule, text)


def _look() -> dict[str, Any]:
    axis = {
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "gridOpacity": 0.5,
        "domainOpacity": 0.5,
        "tickOpacity": 0.5,
    }
    legend = {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelLimit": 180}
    title = {"anchor": "start", "fontSize": 15, "subtitleFontSize": 11, "subtitleColor": "#667", "offset": 12}
    return {
        "font": "Helvetica, Arial, sans-serif",
        "axis": axis,
        "legend": legend,
        "title": title,
        "view": {"stroke": None},
    }


def _wrapped(text: str, width: int = 118) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width)
