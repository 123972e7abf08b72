"""What stored results say, in the form that claims are judged by."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from layercliff.analyses.controls.result import Controlled
from layercliff.analyses.intervention_result import Probed
from layercliff.analyses.patch import result as patched
from layercliff.analyses.similarity.result import Similar, What
from layercliff.metrics import decision
from layercliff.metrics.collapse import collapse_steps
from layercliff.metrics.phases import transition_depths
from layercliff.paper_claims import c04_collapse as cliff
from layercliff.paper_claims.c04_collapse import PathMargins
from layercliff.paper_claims.c05_similarity import Third
from layercliff.paper_claims.c06_noise import Losses
from layercliff.paper_claims.intervals import PerQuestion
from layercliff.pruning.result import Pruned
from layercliff.readout.trace import Trace
from layercliff.recovery.result import Recovered


def decisions(trace: Trace) -> tuple[np.ndarray, np.ndarray]:
    """Decision Margin and right answers ``[depth, question]``."""
    margin = decision.margin(decision.probabilities(trace.scores, trace.mask), trace.mask, trace.gold)
    return margin, decision.correctness(trace.scores, trace.mask, trace.gold)


def along(path: Pruned) -> PathMargins:
    """A path's margins and right answers at all depths of every step."""
    margins, correct = zip(*map(decisions, path.traces), strict=True)
    return PathMargins(margins, correct)


def distances(path: Pruned) -> Iterator[tuple[str, float]]:
    """The steps from the collapse to the loss of the transition on a path and on its repetitions, by the estimate."""
    yield path.score, cliff.estimate(along(path), path.main(0).chance)
    for number, other in enumerate(path.others, 2):
        if other.decided:
            with np.errstate(invalid="ignore"):
                lost, fallen = (
                    cliff.lost_from(np.array(other.decided)),
                    collapse_steps(np.array(other.accuracy), other.chance),
                )
                yield f"{path.score} {number}", float(lost - fallen)


def returns(found: Probed, step: int, transition: int, chance: float) -> str:
    """From which dense state on the collapsed model of a step decides again, in a sentence."""
    table = patched.table(found).filter((pl.col("step") == step) & (pl.col("into") == "pruned")).sort("dense")
    margin, accuracy = table["margin"].to_numpy(), table["accuracy"].to_numpy()
    first = float(transition_depths(margin, accuracy, chance))
    if np.isinf(first):
        return f"Given the dense model's state at any depth, the model of step {step} does not decide again."
    depth = int(table["dense"][int(first)])
    below = (
        f"{transition - depth} blocks before"
        if depth < transition
        else "not before"
        if depth == transition
        else "only beyond"
    )
    return f"Given the dense model's state, the model of step {step} decides again from depth {depth} on, {below} the transition at depth {transition}."


def shuffles(found: Controlled) -> tuple[int, float]:
    """How often answers were shuffled, and the share of shuffles with a transition, shown as a model's has to be."""
    row = found.table.row(
        by_predicate=(pl.col("control") == "shuffled-gold") & (pl.col("task") == found.name), named=True
    )
    return row["draws"], row["decided_draws"]


def lost(found: Probed, runs: slice) -> Losses:
    """Margin that some runs lose against the undisturbed model, question by question."""
    out: np.ndarray = found.undisturbed[0] - found.decisions[0][runs]
    return out


def by_size(found: Probed) -> dict[float, Losses]:
    """Margin lost by noise at each depth, by its size, in the mean over draws."""
    sizes, draws = found.about["eps"], found.about["draws"]
    losses = lost(found, slice(None)).reshape(len(sizes), draws, len(found.trace.scores), -1).mean(1)
    return dict(zip(map(float, sizes), losses, strict=True))


def thirds(found: Similar, step: int) -> dict[What, Third]:
    """The last third of depths one step before `step` and at it, of every map that could be compared."""
    table = found.summary.filter(~pl.col("standardised"))
    one: dict[What, Third] = {}
    maps: tuple[What, ...] = ("tokens", "options", "random")
    for what in maps:
        rows = [table.filter((pl.col("what") == what) & (pl.col("step") == k)).to_dicts() for k in (step - 1, step)]
        if all(row and row[0]["third"] is not None for row in rows):
            before, at = (row[0] for row in rows)
            first, second = (np.array(row["third_samples"], np.float64) for row in (before, at))
            one[what] = Third(before["third"], at["third"], first, second, at["third_shuffled"])
    return one


def has_steps(found: Similar | None, path: Pruned, step: int) -> bool:
    """Whether a similarity speaks of the steps before and at `step` of a path, with its subsamples."""
    if found is None or not path.holds(found.about) or "third_samples" not in found.summary.columns:
        return False
    return {str(step - 1), str(step)} <= set(found.about["steps"])


def trained(found: Recovered) -> dict[int, PerQuestion]:
    """The Decision Margin at the last depth of each step after training, question by question, in the mean over seeds."""
    last = np.array([-1])
    return {
        step: np.mean([decisions(trace.at(last))[0][0] for trace in traces], 0)
        for step, traces in found.trained.items()
    }


def training(found: Recovered) -> str:
    """How was trained, in words."""
    about, seeds = found.about, found.about["seeds"]
    mean = f", mean of {seeds} seeds" if seeds > 1 else ""
    return f"{about['method']}, {about['updates']} updates of {about['batch']} questions{mean}"


def is_of(found: Recovered | None, path: Pruned) -> bool:
    """Whether trained steps are those of a path as it is, and training changed them."""
    if found is None or not path.holds(found.about):
        return False
    return bool(found.about["cliff"] == path.collapse.step and found.about["updates"] > 0)
