"""C4: is the collapse the step at which the transition no longer happens?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from jaxtyping import Bool, Float

from layercliff.analyses.intervention_result import InterventionResult
from layercliff.analyses.patch import result as patched
from layercliff.analyses.patch.result import PatchSettings
from layercliff.analyses.patch.run import patch
from layercliff.analyses.patch.spec import PatchSpec
from layercliff.metrics.collapse import collapse_steps
from layercliff.metrics.decision import stays_from
from layercliff.metrics.phases import transition_depths
from layercliff.paper_claims import step_analyses
from layercliff.paper_claims.evidence import Evidence, Measurement, decisions
from layercliff.paper_claims.intervals import Interval, Sampled
from layercliff.paper_claims.registry import collapse, judges, transition
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import Claim, judge, part
from layercliff.pruning import result as pruned
from layercliff.pruning.result import Pruned
from layercliff.pruning.run import prune
from layercliff.pruning.spec import PruneSpec

CLAIM = Claim(
    "C4",
    "The collapse is where the decision transition no longer happens.",
    "Along the path by margin, the first step from which no step has a transition depth lies within one step of the "
    "collapse point k*.",
)
WITHIN = (-1.5, 1.5)  # steps are whole numbers
ENDS = (
    "The path ends at its collapse, where the transition still happens: whether that is lost a step later only a "
    "longer path says (prune with a larger --remove), if any block is left."
)


CAVEAT = (
    "A model has a transition exactly where its last depth has a margin above 0 and accuracy above chance. Both are "
    "lost about where accuracy is, in almost any model, so that a small distance says little of a mechanism."
)


@dataclass(frozen=True)
class PathMargins:
    """Decision Margin and right answers ``[depth, question]`` of every step's model, the dense one first."""

    margins: Sequence[Float[np.ndarray, "_ question"]]
    correct: Sequence[Float[np.ndarray, "_ question"]]

    @staticmethod
    def of(path: Pruned) -> "PathMargins":
        """Those of a stored path."""
        margins, correct = zip(*map(decisions, path.traces), strict=True)
        return PathMargins(margins, correct)


RANDOM_PATHS = 4
TAIL = Measurement(
    "removing blocks: tail",
    place=50,
    passes=lambda planned: planned.n_layers / 2,  # of the questions; every step is a depth of the dense model
    read=lambda run: pruned.read(run, "tail"),
    run=lambda spec, *_: prune(spec.into(PruneSpec, criterion="tail", assess=False)),
)
RANDOM = Measurement(
    "removing blocks: random",
    place=60,
    passes=lambda planned: RANDOM_PATHS * planned.forked / 2,
    read=lambda run: pruned.read(run, "random"),
    run=lambda spec, *_: prune(spec.into(PruneSpec, criterion="random", assess=False, draws=RANDOM_PATHS)),
)
PATCHED = Measurement(
    "states exchanged",
    place=80,
    passes=lambda planned: planned.n_layers + planned.forked / 2,
    read=patched.read,
    run=lambda spec, evidence, kept: patch(
        spec.into(PatchSpec, **step_analyses.options(evidence.path, [evidence.collapse_step], kept, "positions"))
    ),
    suffices=lambda kept, evidence: step_analyses.holds(evidence.path, [evidence.collapse_step], kept),
    check=lambda run: step_analyses.check(run, "patch", patched.read(run)),
)


@judges(CLAIM, requires=(transition, collapse), beside=(TAIL, RANDOM, PATCHED))
def verdict(evidence: Evidence) -> Verdict:
    """Judge the path by margin, beside other paths and exchanged states."""
    chance, step, exchanged = evidence.path.main(0).chance, evidence.collapse_step, evidence.get(PATCHED)
    others = [path for path in (evidence.get(TAIL), evidence.get(RANDOM)) if path is not None]
    returned = returns(exchanged, step, evidence.depth, chance) if exchanged is not None else ""
    beside = {name: value for path in others for name, value in distances(path)}
    return judged(PathMargins.of(evidence.path), chance, evidence.report, beside, returned)


def judged(path: PathMargins, chance: float, sampled: Sampled, others: Mapping[str, float], patched: str) -> Verdict:
    """Judge a path. `others` are the same distance on other paths (`estimate`).

    `patched` says in a sentence from where the decision returns in the collapsed model.
    """
    found = distance(path, chance, sampled)
    other = [f"{name} {_steps(value)}" for name, value in others.items()]
    paths = f"The same on other paths: {', '.join(other)}." if other else ""
    control = " ".join(filter(None, (paths, patched, CAVEAT)))
    measured = part("steps from the collapse to the loss of the transition (report half)", found, WITHIN, sampled.n)
    found_verdict = judge(CLAIM, [measured], control)
    return replace(found_verdict, reason=ENDS) if np.isnan(found.point) else found_verdict


def distance(path: PathMargins, chance: float, sampled: Sampled) -> Interval:
    """The first step without a transition, to the end of the path, minus k*."""
    means = sampled.resamples.means
    samples = _distances([means(m) for m in path.margins], [means(c) for c in path.correct], chance)
    return sampled.interval(estimate(path, chance), samples, scales=False)


def estimate(path: PathMargins, chance: float) -> float:
    """`distance` without its interval."""
    margins, correct = ([values.mean(1)[None] for values in of] for of in (path.margins, path.correct))
    return float(_distances(margins, correct, chance)[0])


def distances(path: Pruned) -> Iterator[tuple[str, float]]:
    """The `estimate` of a stored path and of its repetitions, by name."""
    yield path.criterion_name, estimate(PathMargins.of(path), path.main(0).chance)
    for number, other in enumerate(path.others, 2):
        if other.decided:
            lost = lost_from(np.array(other.decided))
            fallen = collapse_steps(np.array(other.accuracy), other.chance)
            with np.errstate(invalid="ignore"):
                yield f"{path.criterion_name} {number}", float(lost - fallen)


def lost_from(decided: Bool[np.ndarray, "step *rest"]) -> Float[np.ndarray, "*rest"]:
    """The first step from which to the end none is decided. Infinite where the last one is."""
    return np.where(decided[-1], np.inf, stays_from(~decided))


def returns(found: InterventionResult[PatchSettings], step: int, transition: int, chance: float) -> str:
    """From which dense state on the collapsed model of a step decides again, in a sentence."""
    table = patched.table(found).filter((pl.col("step") == step) & (pl.col("into") == "pruned")).sort("dense")
    margin, accuracy = table["margin"].to_numpy(), table["accuracy"].to_numpy()
    first = float(transition_depths(margin, accuracy, chance))
    if np.isinf(first):
        return f"Given the dense model's state at any depth, the model of step {step} does not decide again."
    depth = int(table["dense"][int(first)])
    if depth < transition:
        where = f"{transition - depth} blocks before"
    else:
        where = "not before" if depth == transition else "only beyond"
    return (
        f"Given the dense model's state, the model of step {step} decides again from depth {depth} on, "
        f"{where} the transition at depth {transition}."
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
    """`lost` minus `fallen`.

    What does not happen on a path of so many steps happens beyond it, if at all. The distance is infinite where that
    is too far from the other in any case. Otherwise it is not a number, which counts as beyond either end.
    """
    nearest = np.minimum(lost, steps) - np.minimum(fallen, steps)
    never, within = np.isinf(lost) | np.isinf(fallen), (WITHIN[0] < nearest) & (nearest < WITHIN[1])
    with np.errstate(invalid="ignore"):
        return np.where(never & within, np.nan, lost - fallen)


def _steps(value: float) -> str:
    if np.isnan(value):
        return "not known from its path"
    return f"{value:+.0f}" if np.isfinite(value) else "one of them beyond the path"
