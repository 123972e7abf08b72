"""C4: is the collapse the step at which the transition no longer happens?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from layercliff.metrics.collapse import collapse_steps
from layercliff.metrics.decision import stays_from
from layercliff.metrics.phases import transition_depths
from layercliff.paper_claims.intervals import Interval, Sampled
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import judge, part

CLAIM = (
    "C4",
    "The collapse is where the decision transition no longer happens.",
    "Along the path by margin, the first step from which no step has a transition depth lies within one step of the collapse point k*.",
)
WITHIN = (-1.5, 1.5)  # steps are whole numbers
ENDS = "The path ends at its collapse, where the transition still happens: whether that is lost a step later only a longer path says (prune with a larger --remove), if any block is left."


@dataclass(frozen=True)
class PathMargins:
    """Decision Margin and right answers ``[depth, question]`` of every step's model at all its depths, from the dense one on."""

    margins: Sequence[Float[np.ndarray, "_ question"]]
    correct: Sequence[Float[np.ndarray, "_ question"]]


def lost_from(decided: Bool[np.ndarray, "step *rest"]) -> Float[np.ndarray, "*rest"]:
    """The first step from which to the end none is decided; infinite where the last one is."""
    return np.where(decided[-1], np.inf, stays_from(~decided))


def distance(path: PathMargins, chance: float, sampled: Sampled) -> Interval:
    """The first step without a transition, to the end of the path, minus k*."""
    means = sampled.resamples.means
    samples = _distances([means(m) for m in path.margins], [means(c) for c in path.correct], chance)
    return sampled.interval(estimate(path, chance), samples, scales=False)


def estimate(path: PathMargins, chance: float) -> float:
    """`distance` without its interval."""
    return float(
        _distances([m.mean(1)[None] for m in path.margins], [c.mean(1)[None] for c in path.correct], chance)[0]
    )


def _distances(
    margins: Sequence[Float[np.ndarray, "resample _"]],
    accuracies: Sequence[Float[np.ndarray, "resample _"]],
    chance: float,
) -> Float[np.ndarray, " resample"]:
    depths = [transition_depths(margin, accuracy, chance) for margin, accuracy in zip(margins, accuracies, strict=True)]
    last = np.stack([accuracy[:, -1] for accuracy in accuracies], 1)
    return _apart(lost_from(np.isfinite(depths)), collapse_steps(last, chance), len(margins))


def _apart(
    lost: Float[np.ndarray, " resample"], fallen: Float[np.ndarray, " resample"], steps: int
) -> Float[np.ndarray, " resample"]:
    """`lost` minus `fallen`. What does not happen on a path of so many steps happens beyond it, if at all: infinite where that is too far from the other in any case,
    otherwise not a number, which counts as beyond either end."""
    nearest = np.minimum(lost, steps) - np.minimum(fallen, steps)
    never, within = np.isinf(lost) | np.isinf(fallen), (WITHIN[0] < nearest) & (nearest < WITHIN[1])
    with np.errstate(invalid="ignore"):
        return np.where(never & within, np.nan, lost - fallen)


def judged(path: PathMargins, chance: float, sampled: Sampled, others: Mapping[str, float], patched: str) -> Verdict:
    """`others`: the same distance, by the estimate, on other paths; `patched`: from where the decision returns in the collapsed model, in a sentence."""
    found = distance(path, chance, sampled)
    other = [f"{name} {_steps(value)}" for name, value in others.items()]
    control = f"The same on other paths: {', '.join(other)}. {patched}" if other else patched
    measured = part("steps from the collapse to the loss of the transition (report half)", found, WITHIN, sampled.n)
    verdict = judge(CLAIM, [measured], control)
    return replace(verdict, reason=ENDS) if np.isnan(found.point) else verdict


def _steps(value: float) -> str:
    return (
        "not known from its path"
        if np.isnan(value)
        else f"{value:+.0f}"
        if np.isfinite(value)
        else "one of them beyond the path"
    )
