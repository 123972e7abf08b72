"""The figures of the lenses."""

from collections.abc import Iterator

import altair as alt
import polars as pl

from layercliff.analyses.intervention_result import InterventionResult
from layercliff.analyses.lens import result as lensed
from layercliff.analyses.lens.result import LensSettings, TunedOn
from layercliff.report import words
from layercliff.report.chart import BLUE, GREEN, INK, ORANGE, Chart, Figure, level
from layercliff.report.depth_chart import (
    counted,
    depth_axis,
    legend,
    lines,
    numbers,
    placed,
    reading,
    transition_mark,
    where,
)

COLOURS = {lensed.LOGIT: BLUE, lensed.TUNED_LENS: GREEN, lensed.PROBE: ORANGE, lensed.CONTROL: INK}


def figures(found: InterventionResult[LensSettings]) -> Iterator[Figure]:
    """Margin and accuracy by every lens over depth, and how well the tuned lens was trained."""
    table = lensed.table(found).filter(pl.col("task") == found.name)
    chance = float(table["chance"][0])
    nothing = {"margin": level(0.0, ""), "accuracy": level(chance, f"chance {chance:.2f}")}
    for value, title in (("margin", "decision margin"), ("accuracy", "layer accuracy")):
        text = (
            f"The {title} at every depth by each lens, with {words.PERCENT} intervals over "
            "questions; T is the logit lens's. "
            f"{_trained(found)}{_probe(found)}{found.caption(f'n = {len(found.trace.questions)}')}."
        )
        yield Figure(f"lens-{value}", f"Lenses: {title}", text, _read(found, table, value, title, nothing[value]))
    if (trained := found.settings.provenance) is not None:
        text = (
            "How far each lens is from the model's own next-token distribution on running text: "
            f"mean KL divergence over the whole vocabulary at {trained.held_out} positions of "
            f"passages that took no part in training. {_trained(found)}{trained.model} "
            f"({trained.dtype})."
        )
        yield Figure("lens-divergence", "Lenses on running text", text, _divergence(found, trained))


def sentence(found: InterventionResult[LensSettings]) -> str:
    """From which depth on each lens decides."""
    table = lensed.table(found).filter((pl.col("task") == found.name) & (pl.col("depth") == 0))
    parts = []
    for row in table.to_dicts():
        depth = row["transition"]
        name = f"the {row['lens']} lens" if row["lens"] in (lensed.LOGIT, lensed.TUNED_LENS) else f"the {row['lens']}"
        if depth is None:
            parts.append(f"{name} stays undecided")
        else:
            low, high = (
                "none" if row[f"transition_{end}"] is None else row[f"transition_{end}"] for end in ("low", "high")
            )
            parts.append(f"{name} decides from depth {depth} [{low}, {high}]")
    first, *others = parts
    return "; ".join([first.replace("the", "The", 1), *others]) + "."


def _trained(found: InterventionResult[LensSettings]) -> str:
    """What the tuned lens was trained on, if there is one."""
    if (about := found.settings.provenance) is None:
        return ""
    return (
        f"Tuned lens: {about.positions} tokens of {about.text}, {about.steps} steps after least "
        f"squares, seed {about.seed}. "
    )


def _probe(found: InterventionResult[LensSettings]) -> str:
    """How the probe was measured, if there is one."""
    if lensed.PROBE not in found.settings.lenses:
        return ""
    return "Probe: cross-validated over groups of questions; grey: the same with gold options exchanged at random. "


def _read(found: InterventionResult[LensSettings], table: pl.DataFrame, value: str, title: str, line: Chart) -> Chart:
    colours = {name: colour for name, colour in COLOURS.items() if name in set(table["lens"])}
    hover = [*where(), counted(), *reading(f"{value}_gain", "more than the logit lens")]
    domain = (-1.0, 1.0) if value == "margin" else (0.0, 1.0)
    n_layers = found.trace.n_layers
    drawn = lines(placed(table), depth_axis(n_layers), value, title, "lens", colours, hover, domain)
    return alt.layer(line, *transition_mark(found.transition, n_layers), *drawn)


def _divergence(found: InterventionResult[LensSettings], trained: TunedOn) -> Chart:
    table = pl.concat(
        pl.DataFrame({"lens": name, "depth": range(len(found_by)), "n": trained.held_out, "divergence": found_by})
        for name, found_by in ((lensed.LOGIT, trained.logit), (lensed.TUNED_LENS, trained.tuned))
    ).filter(pl.col("divergence") > 0)  # the scale is logarithmic
    colour = alt.Color(
        "lens:N",
        title=None,
        scale=alt.Scale(domain=[lensed.LOGIT, lensed.TUNED_LENS], range=[BLUE, GREEN]),
        legend=legend(),
    )
    y = alt.Y("divergence:Q", title="KL divergence (nats)", scale=alt.Scale(type="log"))
    base = alt.Chart(placed(table)).encode(x=depth_axis(found.trace.n_layers), y=y, color=colour)
    hover = [alt.Tooltip("lens:N"), *where(), counted("positions"), *numbers(["divergence"], ".3f")]
    return alt.layer(
        base.mark_line(strokeWidth=2), base.mark_point(filled=True, size=42, opacity=1).encode(tooltip=hover)
    )
