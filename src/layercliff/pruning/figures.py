"""The figures of a pruning path."""

from collections.abc import Iterator
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from layercliff.analyses.trace import tables as trace_tables
from layercliff.pruning import tables as path_tables
from layercliff.pruning.repeats import Stability
from layercliff.pruning.result import Pruned
from layercliff.report import frequency_figures, words
from layercliff.report.chart import BLUE, GREEN, HEAVY, ORANGE, Chart, Figure, level
from layercliff.report.depth_chart import counted, depth_axis, legend, numbers, reading, where, written_by
from layercliff.report.frequency_figures import Answering


def figures(pruned: Pruned) -> Iterator[Figure]:
    """Accuracy along the path with the cliff, margins of dense, light and heavy pruning, and all candidates' scores."""
    name, caption = f"prune-{pruned.criterion_name}", pruned.caption()
    text = (
        f"Accuracy on questions that took no part in the choice, with its {words.PERCENT} interval, against the share "
        f"of blocks removed; {words.cliff(pruned)} {caption}."
    )
    yield Figure(f"{name}-accuracy", "Accuracy along the path", text, _accuracy(pruned))
    steps = (0, *pruned.light_and_heavy)
    text = (
        "Decision margin after each kept block, by its index in the dense model: "
        f"{', '.join(_name(pruned, step) for step in steps)}. Dashed ends of a line bridge removed blocks. {caption}."
    )
    yield Figure(f"{name}-margins", "Dense, light and heavy pruning", text, _margins(pruned, steps))
    for task, analysis in pruned.analyses[0].items():
        if analysis.frequency is not None:
            shown = [_answering(pruned, task, step) for step in steps]
            yield from frequency_figures.figures(f"{name}-{task}", shown, caption)
    if pruned.watched:
        text = (
            "Accuracy along the path of tasks that took no part in the choice, "
            f"with {words.PERCENT} intervals. {caption}."
        )
        yield Figure(f"{name}-watched", "Watched tasks", text, _watched(pruned))
    if pruned.stability is not None:
        text = (
            f"Share of {len(pruned.stability.loss)} repetitions in which a block is gone, per step. "
            f"{words.stability(pruned)} {caption}."
        )
        yield Figure(
            f"{name}-stability",
            "Stability",
            text,
            _gone(pruned.stability),
            height=max(120, 18 * len(pruned.stability.gone)),
        )
    if len(pruned.subject.tasks) == 1:
        text = (
            "Prediction bias along the path: KL of the answers' distribution at the last depth from the gold answers', "
            f"in nats. {frequency_figures.NO_PREFERENCE} {caption}."
        )
        yield Figure(f"{name}-bias", "Prediction bias", text, _bias(pruned))
    if not any(step.scores for step in pruned.steps):
        return
    run = " A run of blocks is named by its first." if pruned.criterion.runs else ""
    text = (
        f"Score of each candidate block by {pruned.criterion_name} ({pruned.criterion.words}), per step; "
        f"the removed one is ringed.{run} {caption}."
    )
    yield Figure(
        f"{name}-candidates", "Candidates", text, _candidates(pruned), height=max(120, 18 * (len(pruned.steps) - 1))
    )


def _name(pruned: Pruned, step: int) -> str:
    return f"{pruned.gone(step)} removed" if step else "dense"


def _answering(pruned: Pruned, task: str, step: int) -> Answering:
    return Answering(_name(pruned, step), pruned.analyses[step][task], pruned.dense_depths(step))


def _removed() -> alt.Tooltip:
    return alt.Tooltip("removed:N", title="removed in this step")


def _accuracy(pruned: Pruned) -> Chart:
    table = path_tables.steps_table(pruned).filter(pl.col("task") == pruned.main(0).name).rename({"n_questions": "n"})
    base = alt.Chart(table).encode(
        x=alt.X("ratio:Q", title="share of blocks removed", axis=alt.Axis(format="%", grid=False))
    )
    y = alt.Y("accuracy:Q", title="accuracy (report half)", scale=alt.Scale(domain=[0, 1]))
    hover = [alt.Tooltip("step:Q"), _removed(), counted(), *reading("accuracy", "accuracy", ".3f")]
    hover += [
        *reading("accuracy_loss", "accuracy lost"),
        alt.Tooltip("one_sided_upper:Q", title="lost at most (one-sided)", format="+.3f"),
    ]
    hover += [*reading("decision_margin", "decision margin"), alt.Tooltip("transition_depth:Q", title="T")]
    band = base.mark_area(opacity=0.25, color=ORANGE).encode(
        y=alt.Y("accuracy_low:Q", title="accuracy (report half)"), y2=alt.Y2("accuracy_high:Q")
    )
    points = base.mark_point(filled=True, size=50, opacity=1, color=ORANGE).encode(y=y, tooltip=hover)
    dense = pruned.main(0)
    line = dense.chance + (float(dense.accuracy.point[-1]) - dense.chance) / 2
    layers = [
        level(dense.chance, "chance"),
        level(line, "half of what the dense model has above chance"),
        band,
        base.mark_line(color=ORANGE).encode(y=y),
        points,
    ]
    if pruned.collapse.step is not None:
        layers += _marked(pruned, pruned.collapse.step, "cliff", 12, [1, 0])
    if pruned.collapse.revived and pruned.collapse.crossing and pruned.collapse.crossing.step is not None:
        layers += _marked(pruned, pruned.collapse.crossing.step, "first below", 28, [4, 3])
    return alt.layer(*layers)


def _marked(pruned: Pruned, step: int, what: str, y: int, dash: list[int]) -> list[Chart]:
    """A rule at a step, and what it is, `y` pixels from the top."""
    table = pl.DataFrame({"ratio": [pruned.gone(step) / pruned.n_layers], "label": [f"{what}: step {step}"]})
    base = alt.Chart(table).encode(x=alt.X("ratio:Q"))
    rule = base.mark_rule(color=HEAVY, strokeWidth=2, strokeDash=dash)
    text = base.mark_text(align="right", dx=-6, fontWeight="bold", color=HEAVY)
    return [rule, text.encode(y=alt.value(y), text=alt.Text("label:N"))]


def _margins(pruned: Pruned, steps: tuple[int, ...]) -> Chart:
    names = [_name(pruned, step) for step in steps]
    rows: list[tuple[Any, ...]] = []
    for step, name in zip(steps, names, strict=True):
        curve, depths = pruned.main(step).margin, pruned.dense_depths(step)
        values = [array.tolist() for array in (curve.point, curve.low, curve.high)]
        n = [pruned.main(step).n_questions] * len(depths)
        rows += zip([name] * len(depths), depths, written_by(depths), n, *values, strict=True)
    schema = ["model", "depth", "written by", "n", "margin", "margin_low", "margin_high"]
    table = pl.DataFrame(rows, schema=schema, orient="row")
    colour = alt.Color(
        "model:N",
        title=None,
        scale=alt.Scale(domain=names, range=[BLUE, *(GREEN, HEAVY)[3 - len(names) :]]),
        legend=legend(),
    )
    base = alt.Chart(table).encode(x=depth_axis(pruned.n_layers, "depth in the dense model"), color=colour)
    y = alt.Y("margin:Q", title="decision margin", scale=alt.Scale(domain=[-1, 1]))
    band = base.mark_area(opacity=0.15).encode(
        y=alt.Y("margin_low:Q", title="decision margin"), y2=alt.Y2("margin_high:Q")
    )
    hover = [alt.Tooltip("model:N"), *where(), counted(), *reading("margin", "decision margin")]
    points = base.mark_point(filled=True, size=45, opacity=1).encode(y=y, tooltip=hover)
    return alt.layer(
        level(0.0, ""),
        band,
        base.mark_line(strokeDash=[4, 3], opacity=0.6).encode(y=y),
        *_solid(pruned, steps, names, base, y),
        points,
    )


def _solid(pruned: Pruned, steps: tuple[int, ...], names: list[str], base: Chart, y: alt.Y) -> Iterator[Chart]:
    """Solid line pieces between blocks that are neighbours in the dense model; other pieces stay dashed."""
    for step, name in zip(steps, names, strict=True):
        kept = np.array(pruned.dense_depths(step))
        for piece in np.split(kept, np.flatnonzero(np.diff(kept) > 1) + 1):
            shown = f"datum.model == '{name}' && datum.depth >= {piece[0]} && datum.depth <= {piece[-1]}"
            yield base.transform_filter(shown).mark_line(strokeWidth=2.5).encode(y=y)


def _watched(pruned: Pruned) -> Chart:
    table = path_tables.watched_table(pruned)
    base = alt.Chart(table).encode(
        x=alt.X("ratio:Q", title="share of blocks removed", axis=alt.Axis(format="%", grid=False)),
        color=alt.Color("task:N", title=None, legend=legend()),
    )
    hover = [
        alt.Tooltip("task:N"),
        alt.Tooltip("step:Q"),
        counted(),
        *reading("accuracy", "accuracy", ".3f"),
        *reading("margin", "decision margin"),
    ]
    hover += numbers(["chance"], ".3f")
    y = alt.Y("accuracy:Q", title="accuracy", scale=alt.Scale(domain=[0, 1]))
    band = base.mark_area(opacity=0.15).encode(
        y=alt.Y("accuracy_low:Q", title="accuracy"), y2=alt.Y2("accuracy_high:Q")
    )
    return alt.layer(
        band, base.mark_line().encode(y=y), base.mark_point(filled=True, size=45, opacity=1).encode(y=y, tooltip=hover)
    )


def _gone(stability: Stability) -> Chart:
    n = len(stability.loss)
    rows = [(k, b, n, float(share)) for k, shares in enumerate(stability.gone) for b, share in enumerate(shares) if k]
    table = pl.DataFrame(rows, schema=["step", "block", "n", "gone in"], orient="row")
    return (
        alt.Chart(table)
        .mark_rect()
        .encode(
            x=alt.X("block:O", title="block", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("step:O", title="step"),
            color=alt.Color(
                "gone in:Q",
                title="gone in",
                scale=alt.Scale(scheme="oranges", domain=[0, 1]),
                legend=alt.Legend(format="%"),
            ),
            tooltip=[
                alt.Tooltip("step:O"),
                alt.Tooltip("block:O"),
                counted("repetitions"),
                alt.Tooltip("gone in:Q", format="%"),
            ],
        )
    )


def _bias(pruned: Pruned) -> Chart:
    frequencies = [of for k in range(len(pruned.steps)) if (of := pruned.main(k).frequency) is not None]
    rows = [
        {
            "step": k,
            "ratio": pruned.gone(k) / pruned.n_layers,
            "removed": ", ".join(map(str, pruned.steps[k].removed)),
            "n": found.n_counted,
            **{name: float(values[-1]) for name, values in trace_tables.bias_columns({"divergence": found.kl}).items()},
        }
        for k, found in enumerate(frequencies)
    ]
    base = alt.Chart(pl.DataFrame(rows)).encode(
        x=alt.X("ratio:Q", title="share of blocks removed", axis=alt.Axis(format="%", grid=False)),
        color=alt.value(ORANGE),
    )
    return frequency_figures.bias_lines(base, [alt.Tooltip("step:Q"), _removed(), counted()])


def _candidates(pruned: Pruned) -> Chart:
    table = path_tables.candidates_table(pruned).with_columns(n=pruned.n_select)
    x = alt.X(
        "block:O",
        title="block left out",
        axis=alt.Axis(labelAngle=0),
        scale=alt.Scale(domain=list(range(pruned.n_layers))),
    )
    base = alt.Chart(table).encode(x=x, y=alt.Y("step:O", title="step"))
    hover = [
        alt.Tooltip("step:O"),
        alt.Tooltip("block:O"),
        counted(),
        alt.Tooltip("score:Q", format="+.4f"),
        alt.Tooltip("removed:N"),
    ]
    cells = base.mark_rect().encode(
        color=alt.Color("score:Q", title=pruned.criterion_name, scale=alt.Scale(scheme="viridis")), tooltip=hover
    )
    ring = (
        base.transform_filter("datum.removed").mark_point(size=90, color="white", strokeWidth=2.5).encode(tooltip=hover)
    )
    return alt.layer(cells, ring)
