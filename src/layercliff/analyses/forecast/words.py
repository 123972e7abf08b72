"""A forecast in words."""

import math

from layercliff.analyses.forecast.result import Foretelling
from layercliff.metrics.forecast import LEVEL

INTERVAL = f"{LEVEL:.0%}".replace("%", " %")
"""The level of a forecast's interval."""


def sentence(found: Foretelling) -> str:
    """The forecast collapse point, in a sentence or two."""
    told, n = found.foretold, found.n_layers
    parts = [
        "Forecast before anything is pruned: along a path by margin, accuracy collapses when "
        f"{told.ratio:.0%} of the blocks are gone (about {found.blocks:.0f} of {n}; {_interval(found)}).",
        f"By a rule fitted to {found.rows} collapses of {len(found.models)} models ({found.source}).",
    ]
    if found.subject.model in found.models:
        parts.append(f"{found.subject.model} itself is among them, so that this is no test of the rule.")
    if told.outside:
        outside = "; ".join(told.outside)
        parts.append(f"Outside of what the rule was fitted on, so that the interval does not hold: {outside}.")
    return " ".join(parts)


def _interval(found: Foretelling) -> str:
    told, n = found.foretold, found.n_layers
    if math.isfinite(told.high):
        return f"{INTERVAL} interval {told.low * n:.0f}-{told.high * n:.0f}"
    return f"the table is too small for a {INTERVAL} interval"
