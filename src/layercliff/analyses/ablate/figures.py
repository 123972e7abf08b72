"""The figures of blocks and pairs taken out."""

from collections.abc import Iterator
from typing import Any

import altair as alt
import polars as pl

from layercliff.analyses.ablate import result as ablated
from layercliff.analyses.ablate.result import AblateSettings
from layercliff.analyses.intervention_result import InterventionResult
from layercliff.report import words
from layercliff.report.chart import BLUE, HEAVY, Chart, Figure, level
from layercliff.report.depth_chart import block_axis, counted, legend, numbers, reading, transition_mark

NAMES = {"skip": "skipped", "mean": "replaced by its mean"}
COLOURS = {"skip": HEAVY, "mean": BLUE}
ASIDE = 0.13  # of a block, so that the two manners stand beside each other


def figures(found: InterventionResult[AblateSettings]) -> Iterator[Figure]:
    """Change of margin and accuracy by the block that is gone, and of the margin by the pair."""
    table = ablated.table(found).filter(pl.col("task") == found.name)
    for value, title, size in (
        ("margin", "decision margin", 1),
        ("accuracy", "accuracy", 1),
        ("margin", "decision margin", 2),
    ):
        what, heading = ("block", "A block taken out") if size == 1 else ("adjacent pair", "A pair of blocks taken out")
        name = f"ablate-{value}" if size == 1 else f"ablate-pairs-{value}"
        text = f"Change of the {title} at the last depth when one {what} is skipped{_means(found)}, "
        text += f"with {words.PERCENT} intervals. {caption(found)}."
        yield Figure(
            name, f"{heading}: {title}", text, _change(found, table.filter(pl.col("size") == size), value, title)
        )


def caption(found: InterventionResult[AblateSettings]) -> str:
    """What it was measured on."""
    half = " (report half)" if set(found.trace.half_of) == {"report"} else ""
    return found.caption(f"n = {len(found.trace.questions)}{half}")


def _means(found: InterventionResult[AblateSettings]) -> str:
    if "mean" not in ablated.manners(found):
        return ""
    others = f"the mean over tokens of {found.settings.n_select} other questions, the first position by itself"
    return f", or replaced by what it adds on average ({others})"


def sentence(found: InterventionResult[AblateSettings]) -> str:
    """Which block costs most, where the transition block stands, and what means restore."""
    table = ablated.table(found).filter((pl.col("task") == found.name) & (pl.col("size") == 1))
    skipped = table.filter(pl.col("how") == "skip").sort("margin_change").to_dicts()
    by_mean = {row["first"]: row for row in table.filter(pl.col("how") == "mean").to_dicts()}
    dearest = skipped[0]
    said = f"The block that costs most is {dearest['first']}: margin {_change_words(dearest)} without it"
    if by_mean:
        said += f", {_change_words(by_mean[dearest['first']])} with its mean in its place"
    if found.transition:
        block = found.transition - 1
        rank = [row["first"] for row in skipped].index(block)
        said += f". The transition block, {block}, comes {rank + 1}. of {len(skipped)}: {_change_words(skipped[rank])}"
        said += f", {_change_words(by_mean[block])} with its mean" if by_mean else ""
    return f"{said}."


def _change_words(row: dict[str, Any]) -> str:
    return f"{row['margin_change']:+.2f} [{row['margin_change_low']:+.2f}, {row['margin_change_high']:+.2f}]"


def _change(found: InterventionResult[AblateSettings], table: pl.DataFrame, value: str, title: str) -> Chart:
    n_layers, change = found.trace.n_layers, f"{value}_change"
    middle = pl.col("first") + (pl.col("size") - 1) / 2
    aside = pl.when(pl.col("how") == "skip").then(-ASIDE).otherwise(ASIDE)
    shown = table.with_columns(place=middle + aside, manner=pl.col("how").replace_strict(NAMES))
    domain, colours = zip(*((NAMES[how], COLOURS[how]) for how in ablated.manners(found)), strict=True)
    colour = alt.Color("manner:N", title=None, scale=alt.Scale(domain=domain, range=colours), legend=legend())
    y = alt.Y(f"{change}:Q", title=f"change of {title}")
    base = alt.Chart(shown).encode(
        x=block_axis(n_layers, "block taken out" if shown["size"][0] == 1 else "pair taken out, by its middle"),
        color=colour,
    )
    hover = [
        alt.Tooltip("blocks:N"),
        alt.Tooltip("manner:N"),
        counted(),
        *reading(change, f"change of {title}"),
        *numbers([value]),
    ]
    bars = base.mark_rule(strokeWidth=2, opacity=0.6).encode(
        y=alt.Y(f"{change}_low:Q", title=f"change of {title}"), y2=alt.Y2(f"{change}_high:Q")
    )
    points = base.mark_point(filled=True, size=55, opacity=1).encode(y=y, tooltip=hover)
    return alt.layer(level(0.0, ""), *transition_mark(found.transition, n_layers, -0.5), bars, points)
