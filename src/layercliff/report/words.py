"""Results as sentences and short figures."""

import math
from collections.abc import Iterator

from layercliff.metrics.analysis import Analysis
from layercliff.metrics.statistics import LEVEL
from layercliff.results.traced import Traced

PERCENT = f"{LEVEL:.0%}".replace("%", " %")


def verdict(analysis: Analysis) -> str:
    """Where the decision forms, with its interval, in a sentence."""
    transition = analysis.transition
    if transition.depth is None:
        decided = 1 - transition.undecided_share
        return (
            f"The model is undecided: up to its last depth, {analysis.n_layers}, margin and accuracy do not stay above 0 and chance "
            f"(margin {interval(analysis, 'margin')}, accuracy {interval(analysis, 'accuracy')}, chance {analysis.chance:.2f}; {decided:.0%} of resamples are decided)."
        )
    where = f"depth {transition.depth}, {PERCENT} interval {depth_interval(analysis)}"
    if transition.depth == 0:
        return f"The decision stands before the first block ({where}): the options' tokens alone give the answer away."
    undecided = f"; {transition.undecided_share:.0%} of resamples are undecided" if transition.undecided_share else ""
    return f"The decision forms in block {transition.depth - 1} of {analysis.n_layers} ({where}{undecided})."


def phases(analysis: Analysis) -> str | None:
    """The Silent and Decisive Phase in a sentence, or None for an undecided model."""
    depth, last = analysis.transition.depth, analysis.n_layers - 1
    if depth is None or depth == 0:
        return None
    decisive = f"blocks {depth}-{last}" if depth < last else f"block {last}" if depth == last else "empty"
    silent = f"blocks 0-{depth - 1}" if depth > 1 else "block 0"
    return f"Silent Phase: {silent}; Decisive Phase: {decisive}. Blocks are counted from 0."


def jump(analysis: Analysis) -> str:
    """The largest rise of the margin over one block, in a sentence."""
    found = analysis.jump
    low, high = found.rise_interval
    return f"Largest rise: block {found.block}, {found.rise:+.2f} [{low:+.2f}, {high:+.2f}], {found.sharpness:.0%} of all rises [{found.sharpness_interval[0]:.0%}, {found.sharpness_interval[1]:.0%}]."


def option_mass(analysis: Analysis) -> str | None:
    """How much of the model's probability the options carry, or None where it was not computed."""
    mass = analysis.option_mass[-1]
    return (
        f"The options carry {mass:.1%} of the model's probability at the last depth." if math.isfinite(mass) else None
    )


def depth_interval(analysis: Analysis) -> str:
    """``13-13``; an end where resamples are undecided reads ``undecided``."""
    ends = (analysis.transition.low, analysis.transition.high)
    return "-".join("undecided" if end == float("inf") else f"{end:.0f}" for end in ends)


def interval(analysis: Analysis, name: str, depth: int = -1) -> str:
    """A curve's value at a depth with its interval, e.g. ``+0.82 [+0.77, +0.87]``."""
    curve = getattr(analysis, name)
    sign = "" if name == "accuracy" else "+"
    return f"{curve.point[depth]:{sign}.2f} [{curve.low[depth]:{sign}.2f}, {curve.high[depth]:{sign}.2f}]"


def notices(traced: Traced) -> Iterator[str]:
    """What a reader must know about the questions: those left out, skipped, answers that carry little probability."""
    for task in traced.trace.tasks.values():
        if task.left_out:
            yield f"{task.name}: {len(task.left_out)} questions were left out by the format {task.form} ({task.left_out[0].partition(': ')[2]})."
        if task.skipped:
            yield f"{task.name}: {len(task.skipped)} bad rows were skipped: {'; '.join(task.skipped[:3])}{'; ...' if len(task.skipped) > 3 else ''}."
    for name, analysis in traced.analyses.items():
        if analysis.option_mass[-1] < 0.01:
            yield f"{name}: the options carry only {analysis.option_mass[-1]:.1%} of the model's probability at the last depth; it would rather say something else."
        if analysis.n_groups < 30:
            yield f"{name}: {analysis.n_groups} independent questions are few; intervals from a bootstrap of so few are too narrow."
