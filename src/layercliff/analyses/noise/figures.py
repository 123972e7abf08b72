"""The figures of noise at every depth."""

from collections.abc import Iterator

import altair as alt
import polars as pl

from layercliff.analyses.intervention_result import InterventionResult
from layercliff.analyses.noise import result as noised
from layercliff.analyses.noise.result import NoiseSettings
from layercliff.analyses.noise.spec import with_reading
from layercliff.report import words
from layercliff.report.chart import BLUE, GREEN, HEAVY, ORANGE, PURPLE, Chart, Figure, level
from layercliff.report.depth_chart import counted, depth_axis, lines, numbers, placed, transition_mark, where

COLOURS = (GREEN, BLUE, HEAVY, PURPLE, ORANGE, "#7a5230")


def figures(found: InterventionResult[NoiseSettings]) -> Iterator[Figure]:
    """Change of margin and of accuracy at the last depth, by the depth that gets the noise."""
    table = noised.table(found).filter(pl.col("task") == found.name)
    for value, title in (("margin", "decision margin"), ("accuracy", "accuracy")):
        text = (
            f"Change of the {title} at the last depth when noise is put on the stream at one "
            f"depth, mean over draws, with {words.PERCENT} intervals over questions; "
            f"{_about(found)}. {found.caption(f'n = {len(found.trace.questions)}')}."
        )
        yield Figure(f"noise-{value}", f"Noise and the {title}", text, _change(found, table, value, title))


def sentence(found: InterventionResult[NoiseSettings]) -> str:
    """How much noise costs before and after the transition, per size."""
    table = noised.table(found).filter(pl.col("task") == found.name)
    parts = []
    for size in found.settings.eps:
        row = table.filter(pl.col("eps") == size).sort("margin_change").to_dicts()[0]
        parts.append(
            f"{size:g} costs most at depth {row['depth']} (margin "
            f"{row['margin_change']:+.2f} [{row['margin_change_low']:+.2f}, "
            f"{row['margin_change_high']:+.2f}])"
        )
    return f"Noise of size {'; '.join(parts)}."


def _about(found: InterventionResult[NoiseSettings]) -> str:
    where = "at all positions" if found.settings.positions == "all" else "at the positions that are read"
    return (
        f"eps times the token's standard deviation over features, {where}, "
        f"{found.settings.draws} draws (thin bars: their range)"
    )


def _change(found: InterventionResult[NoiseSettings], table: pl.DataFrame, value: str, title: str) -> Chart:
    n_layers = found.trace.n_layers
    table = table.with_columns(noise="eps = " + pl.col("eps").map_elements(with_reading, return_dtype=pl.String))
    names = list(dict.fromkeys(table["noise"]))
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}
    change = f"{value}_change"
    hover = [*where(), counted(), *numbers([f"{value}_draw_least", f"{value}_draw_greatest", value])]
    x = depth_axis(n_layers, "depth that gets the noise (blocks passed)")
    spread = (
        alt.Chart(table)
        .mark_rule(opacity=0.7)
        .encode(
            x=x, color=alt.Color("noise:N"), y=alt.Y(f"{value}_draw_least:Q"), y2=alt.Y2(f"{value}_draw_greatest:Q")
        )
    )
    layers = lines(placed(table), x, change, f"change of {title}", "noise", colours, hover)
    return alt.layer(level(0.0, ""), *transition_mark(found.transition, n_layers), *layers, spread)
