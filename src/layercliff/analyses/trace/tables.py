"""The tables of a trace: by depth, by answer and by question."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float

from layercliff.choices import Normalisation
from layercliff.metrics import decision
from layercliff.metrics.analysis import Analysis
from layercliff.metrics.prediction_bias import PredictionBias
from layercliff.readout.trace import Trace

SIZES: Mapping[Normalisation, str] = {"token": "tokens", "char": "characters", "byte": "bytes"}
"""The columns of the table of questions that hold each option's size, in a *cloze* task."""


def bias_columns(found: Mapping[str, PredictionBias]) -> dict[str, Float[np.ndarray, " depth"]]:
    """Columns over depth of each divergence: itself, without preference with its band, the excess, and p."""
    columns: dict[str, Float[np.ndarray, " depth"]] = {}
    for name, bias in found.items():
        reference = bias.reference
        columns |= {
            name: bias.point,
            f"{name}_reference": reference.point,
            f"{name}_reference_low": reference.low,
            f"{name}_reference_high": reference.high,
            f"{name}_excess": bias.excess,
            f"{name}_p": bias.p,
        }
    return columns


def number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def depths_table(analyses: Mapping[str, Analysis]) -> pl.DataFrame:
    """One row per analysis and depth, with intervals; ``block`` is the 0-based block whose output the depth is (null
    at 0)."""
    frames = []
    for name, analysis in analyses.items():
        curves = {"margin": analysis.margin, "margin_logit": analysis.margin_logit, "accuracy": analysis.accuracy}
        curves |= {f"accuracy_{by}": of for by, of in analysis.accuracy_by.items()}
        columns: dict[str, Any] = {"task": [name] * (analysis.n_layers + 1), "depth": range(analysis.n_layers + 1)}
        columns["block"] = [None, *range(analysis.n_layers)]
        for label, values in curves.items():
            columns |= {label: values.point, f"{label}_low": values.low, f"{label}_high": values.high}
        if analysis.frequency is not None:
            columns |= bias_columns({"kl": analysis.frequency.kl, "js": analysis.frequency.js})
        columns["chance"] = [analysis.chance] * (analysis.n_layers + 1)
        columns["option_mass"] = [number(value) for value in analysis.option_mass]
        frames.append(pl.DataFrame(columns, schema_overrides={"block": pl.Int64, "option_mass": pl.Float64}))
    return pl.concat(frames, how="diagonal")


def frequency_table(analyses: Mapping[str, Analysis]) -> pl.DataFrame:
    """One row per task, depth and answer category: how often it wins, is offered and is gold."""
    columns = {"task": pl.String, "depth": pl.Int64, "answer": pl.String}
    columns |= dict.fromkeys(("share", "low", "high", "offered", "gold"), pl.Float64)
    rows = [
        (name, depth, label, of.share[depth, c], of.low[depth, c], of.high[depth, c], of.offered[c], of.gold[c])
        for name, analysis in analyses.items()
        if (of := analysis.frequency) is not None
        for depth in range(analysis.n_layers + 1)
        for c, label in enumerate(of.labels)
    ]
    return pl.DataFrame(rows, schema=columns, orient="row")


def questions_table(trace: Trace) -> pl.DataFrame:
    """One row per question: what was asked, what the model answered, its margin at the last depth and the depth it is
    decided from."""
    probabilities = decision.probabilities(trace.scores, trace.mask)
    margins = decision.margin(probabilities, trace.mask, trace.gold)
    decided = decision.decided_from(margins)
    sizes = {
        SIZES[by]: [row[offered].tolist() for row, offered in zip(of, trace.mask, strict=True)]
        for by, of in trace.sizes.items()
    }
    return pl.DataFrame(
        {
            "task": trace.task_of,
            "id": [q.id for q in trace.questions],
            "group": [q.group for q in trace.questions],
            "subject": [q.subject for q in trace.questions],
            "half": trace.half_of,
            "text": [q.text for q in trace.questions],
            "options": [list(q.options) for q in trace.questions],
            "gold": trace.gold,
            "predicted": probabilities[-1].argmax(1),
            "correct": decision.correctness(trace.scores, trace.mask, trace.gold)[-1],
            "margin": margins[-1],
            "decided_from": [int(depth) if depth >= 0 else None for depth in decided],
            "option_mass": [number(float(value)) for value in trace.option_mass[-1]],
            **sizes,
        },
        schema_overrides={"decided_from": pl.Int64, "option_mass": pl.Float64},
    )
