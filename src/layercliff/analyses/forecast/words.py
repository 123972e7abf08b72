"""A forecast in words."""

import math

from layercliff.analyses.forecast.result import Forecast
from layercliff.metrics.forecast import LEVEL

INTERVAL = f"{LEVEL:.0%}".replace("%", " %")
"""The level of a forecast's interval."""


def sentence(found: Forecast) -> str:
    """The forecast collapse point, in a sentence or two."""
    predicted, n = found.predicted, found.n_layers
    parts = [
        "Forecast before anything is pruned: along a path by margin, accuracy collapses when "
        f"{predicted.ratio:.0%} of the blocks are gone (about {found.blocks:.0f} of {n}; {_interval(found)}).",
        f"By a rule fitted to {found.rows} collapses of {len(found.models)} models ({found.source}).",
    ]
    if found.subject.model in found.models:
        parts.append(f"{found.subject.model} itself is among them, so that this is no test of the rule.")
    if predicted.outside:
        outside = "; ".join(predicted.outside)
        parts.append(f"Outside of what the rule was fitted on, so that the interval does not hold: {outside}.")
    return " ".join(parts)


def _interval(found: Forecast) -> str:
    predicted, n = found.predicted, found.n_layers
    if math.isfinite(predicted.high):
        return f"{INTERVAL} interval {predicted.low * n:.0f}-{predicted.high * n:.0f}"
    return f"the table is too small for a {INTERVAL} interval"
