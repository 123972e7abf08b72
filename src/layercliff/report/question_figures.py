"""Every question by itself: its options, and its decision margin at every depth of the dense and of pruned models."""

from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt
import numpy as np

from layercliff.analyses.trace.result import Traced
from layercliff.metrics import decision
from layercliff.pruning.result import Pruned
from layercliff.readout.trace import Trace
from layercliff.report.chart import BLUE, PALETTE, level, specification
from layercliff.report.depth_chart import depth_axis, legend, numbers, where, written_by

DATA = "question"  # the name of the rows that the page hands to the figure
UNIT = 1000  # margins are integers on the page, in thousandths


def asked(traced: Traced | None, paths: Sequence[Pruned]) -> Trace | None:
    """The dense model's trace of the questions that the page lists: all, or where nothing was traced a path's report
    half."""
    return traced.trace if traced else paths[0].traces[0] if paths else None


def content(dense: Trace, paths: Sequence[Pruned]) -> dict[str, Any]:
    """What opens below each of `dense`'s questions, in their order.

    That is its options and the gold one, and, of every model, its depths (as the dense model's), its answers and its
    margins in thousandths. Both are null for questions that a model was not asked. `figure` draws the margins of one
    question.
    """
    number = {key: i for i, key in enumerate(_keys(dense))}
    models: list[dict[str, Any]] = []
    for name, depths, trace in _models(dense, paths):
        probabilities = decision.probabilities(trace.scores, trace.mask)
        margins = np.rint(UNIT * decision.margin(probabilities, trace.mask, trace.gold)).astype(int).T.tolist()
        answers = probabilities[-1].argmax(1).tolist()
        of = {number[key]: i for i, key in enumerate(_keys(trace))}
        every = [of.get(i) for i in range(len(number))]
        models.append(
            {
                "name": name,
                "depths": list(depths),
                "answered": [None if i is None else answers[i] for i in every],
                "margins": [None if i is None else margins[i] for i in every],
            }
        )
    return {
        "options": [question.options for question in dense.questions],
        "gold": dense.gold.tolist(),
        "models": models,
        "unit": UNIT,
        "written": written_by(range(dense.n_layers + 1)),
        "figure": figure([model["name"] for model in models], dense.n_layers),
    }


def _keys(trace: Trace) -> list[tuple[str, str]]:
    return [(task, question.id) for task, question in zip(trace.task_of, trace.questions, strict=True)]


def _models(dense: Trace, paths: Sequence[Pruned]) -> Iterator[tuple[str, Sequence[int], Trace]]:
    """The dense model, then a light and a heavy step of every path, each with the dense model's depths after its
    blocks."""
    yield "dense", range(dense.n_layers + 1), dense
    for path in paths:
        for step in path.light_and_heavy:
            yield f"{path.criterion_name}, {path.gone(step)} removed", path.dense_depths(step), path.traces[step]


def figure(names: Sequence[str], n_layers: int) -> dict[str, Any]:
    """The Vega-Lite specification of one question's margins; its rows, of ``model``, ``depth``, ``written by`` and
    ``margin``, come by the name `DATA`."""
    colours = [BLUE, *PALETTE[2:]]
    pick = alt.selection_point(fields=["model"], bind="legend")
    base = alt.Chart(alt.NamedData(DATA)).encode(
        x=depth_axis(n_layers, "depth in the dense model"),
        y=alt.Y("margin:Q", title="decision margin", scale=alt.Scale(domain=[-1, 1])),
        color=alt.Color(
            "model:N",
            title=None,
            scale=alt.Scale(domain=list(names), range=[colours[i % len(colours)] for i in range(len(names))]),
            legend=legend(),
        ),
        opacity=alt.condition(pick, alt.value(1.0), alt.value(0.12)),
    )
    hover = [alt.Tooltip("model:N"), *where(), *numbers(["margin"])]
    points = base.mark_point(filled=True, size=45).encode(tooltip=hover).add_params(pick)
    chart = alt.layer(level(0.0, ""), base.mark_line(strokeWidth=2), points)
    return specification(chart, "container")
