"""Whether a model decides at all, how many questions would settle it, and at which depths it may."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from layercliff.metrics.phases import transition_depths
from layercliff.metrics.statistics import TAIL, percentile_interval
from layercliff.paper_claims.intervals import PerQuestion, Sampled
from layercliff.paper_claims.rule import part

DEPTHS = 0.005  # error of either end of the interval of T
PerDepth = Float[np.ndarray, "depth question"]


def depths(margin: PerDepth, correct: PerDepth, chance: float, sampled: Sampled) -> range:
    """Every T in its 99 % interval, over resamples that have one."""
    point = transition_depths(margin.mean(1), correct.mean(1), chance)
    found = transition_depths(sampled.resamples.means(margin), sampled.resamples.means(correct), chance)
    low, high = percentile_interval(np.append(found[np.isfinite(found)], point), DEPTHS)
    return range(int(min(low, point)), int(max(high, point)) + 1)


def enough(margin: PerQuestion, correct: PerQuestion, chance: float, sampled: Sampled) -> str:
    """What the last depth says, and how many questions would settle whether there can be a transition depth.

    There can be one where the margin lies above 0 and accuracy above chance, by the 95 % intervals by which a model
    is said to decide. `margin` and `correct` are those of the last depth.
    """
    usual, n = replace(sampled, tail=TAIL), sampled.n
    parts = (
        part("margin", usual.mean(margin), (0.0, np.inf), n),
        part("accuracy less chance", usual.share(correct, chance), (0.0, np.inf), n),
    )
    said = ", ".join(f"{one.what} {one.measured:+.2f} [{one.low:+.2f}, {one.high:+.2f}]" for one in parts)
    said = f"At the last depth: {said}"
    if any(one.answer == "contradicted" for one in parts):
        return f"{said}. That it does not decide is shown; more questions would not change it."
    if all(one.answer == "supported" for one in parts):
        return (
            f"{said}. Each of the two is shown by itself, both together are not quite: a few more questions would "
            "settle whether it decides."
        )
    falls = [one for one in parts if one.measured is not None and one.measured < 0]  # either one below settles it
    needed = [one.questions_needed for one in falls or parts if one.answer == "undecided"]
    known = [number for number in needed if number is not None]
    if not known or (not falls and len(known) < len(needed)):
        return f"{said}. No number of questions can be told that would settle whether it decides."
    enough = min(known) if falls else max(known)
    return f"{said}; about {enough:,} questions would settle whether it decides, {n:,} were asked."
