"""The figures of trained steps."""

from collections.abc import Iterator
from typing import Any

import altair as alt
import polars as pl

from layercliff.analyses.recover import tables
from layercliff.analyses.recover.result import Recovered
from layercliff.report import words
from layercliff.report.chart import BLUE, GREEN, HEAVY, INK, ORANGE, PURPLE, Chart, Figure, level
from layercliff.report.depth_chart import counted, depth_axis, lines, numbers, placed, reading, where

COLOURS = (INK, GREEN, BLUE, ORANGE, HEAVY, PURPLE)
TRAINED = {"as pruned": INK, "trained": BLUE}
PLACES = {"below": " (below the cliff)", "at": " (at the cliff)", "beyond": " (beyond the cliff)"}
VALUES = (("margin", "decision margin"), ("accuracy", "accuracy"))


def figures(found: Recovered) -> Iterator[Figure]:
    """Margin and accuracy of every step before and after training.

    They are drawn over depth, and at the last depth against the number of blocks removed.
    """
    curves = tables.table(found).filter(pl.col("task") == found.name)
    last = tables.ends(found).filter(pl.col("task") == found.name)
    for value, title in VALUES:
        text = (
            f"The {title} after each block that is left, by its place in the dense model, after training (drawn "
            f"through, with {words.PERCENT} intervals over questions) and as pruned (dashed){_bars(found)}; the dense "
            f"model with the same training is the control. {_about(found)}."
        )
        yield Figure(f"recover-{value}", f"After training: {title}", text, _curves(found, curves, value, title))
    for value, title in VALUES:
        text = (
            f"The {title} at the last depth against the number of blocks removed, as pruned and after training, with "
            f"{words.PERCENT} intervals over questions; {_cliff(found)}. {_about(found)}."
        )
        yield Figure(
            f"recover-last-{value}", f"What training brings back: {title}", text, _last(found, last, value, title)
        )


def sentence(found: Recovered) -> str:
    """What training does to each step, in a sentence."""
    rows = tables.ends(found).filter(pl.col("task") == found.name).sort("step").to_dicts()
    parts = "; ".join(_became(found, row) for row in rows)
    how = f"{words.training(found)}{_seeds(found)}"
    return f"Accuracy after training ({how}): {parts}; chance {rows[0]['chance']:.2f}."


def _became(found: Recovered, row: dict[str, Any]) -> str:
    decided = f"decided from its depth {row['transition_after']}"
    return (
        f"{_name(found, row['step'])} {row['accuracy_before']:.2f} becomes {row['accuracy_after']:.2f} "
        f"[{row['accuracy_after_low']:.2f}, {row['accuracy_after_high']:.2f}], "
        f"{'undecided' if row['transition_after'] is None else decided}"
    )


def _name(found: Recovered, step: int) -> str:
    return "dense" if step == 0 else f"{found.gone(step)} removed{PLACES.get(found.place(step), '')}"


def _seeds(found: Recovered) -> str:
    seeds = found.settings.seeds
    return "" if seeds == 1 else f", mean of {seeds} seeds"


def _bars(found: Recovered) -> str:
    return "" if found.settings.seeds == 1 else "; thin bars: the range over seeds"


def _about(found: Recovered) -> str:
    return f"Trained: {words.training(found)}{_seeds(found)}. {found.caption()}"


def _cliff(found: Recovered) -> str:
    step = found.settings.cliff
    return "the path has no cliff" if step is None else f"the cliff is at step {step} of the path"


def _curves(found: Recovered, table: pl.DataFrame, value: str, title: str) -> Chart:
    names = {step: _name(found, step) for step in found.steps}
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names.values())}
    shown = placed(table, "dense").with_columns(model=pl.col("step").replace_strict(names, return_dtype=pl.String))
    hover: list[alt.Tooltip] = [
        alt.Tooltip("trained:N"),
        *where("dense"),
        alt.Tooltip("depth:Q", title="depth in its own blocks"),
        counted(),
        alt.Tooltip("seeds:Q"),
    ]
    hover += numbers([f"{value}_seed_least", f"{value}_seed_greatest"])
    x = depth_axis(found.n_layers, "depth in the dense model (blocks that are left)", "dense:Q")
    domain = (-1.0, 1.0) if value == "margin" else (0.0, 1.0)
    base = alt.Chart(shown.filter(~pl.col("trained"))).encode(
        x=x, y=alt.Y(f"{value}:Q", title=title, scale=alt.Scale(domain=list(domain))), color=alt.Color("model:N")
    )
    before = [
        base.mark_line(strokeDash=[4, 3], strokeWidth=1.5, opacity=0.8),
        base.mark_point(size=24, opacity=0.8).encode(tooltip=[alt.Tooltip("model:N"), *hover, *reading(value, title)]),
    ]
    trained = shown.filter(pl.col("trained"))
    spread = (
        alt.Chart(trained)
        .mark_rule(opacity=0.7)
        .encode(
            x=x, color=alt.Color("model:N"), y=alt.Y(f"{value}_seed_least:Q"), y2=alt.Y2(f"{value}_seed_greatest:Q")
        )
    )
    after = lines(trained, x, value, title, "model", colours, hover, domain)
    return alt.layer(_floor(found, value), *before, *after, *([spread] if found.settings.seeds > 1 else []))


def _last(found: Recovered, table: pl.DataFrame, value: str, title: str) -> Chart:
    frames = [
        table.select(
            "step", "removed", "place", "n", "transition_before", "transition_after", f"{value}_gain",
            model=pl.lit(name), **{f"{value}{end}": f"{value}_{when}{end}" for end in ("", "_low", "_high")},
        )
        for name, when in zip(TRAINED, ("before", "after"), strict=True)
    ]  # fmt: skip
    hover: list[alt.Tooltip] = [alt.Tooltip("removed:Q", title="blocks removed"), alt.Tooltip("place:N"), counted()]
    hover += [
        alt.Tooltip("transition_before:Q", title="T as pruned"),
        alt.Tooltip("transition_after:Q", title="T trained"),
        *numbers([f"{value}_gain"]),
    ]
    x = alt.X("removed:Q", title="blocks removed", axis=alt.Axis(format="d", grid=False, tickMinStep=1))
    domain = (-1.0, 1.0) if value == "margin" else (0.0, 1.0)
    return alt.layer(_floor(found, value), *lines(pl.concat(frames), x, value, title, "model", TRAINED, hover, domain))


def _floor(found: Recovered, value: str) -> Chart:
    return level(0.0, "") if value == "margin" else level(found.chance(found.name), "chance")
