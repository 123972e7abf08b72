"""C1: is there a sharp decision transition?"""

from dataclasses import replace

import numpy as np
import polars as pl
from jaxtyping import Float
from scipy.stats import binomtest

from layercliff.analyses.controls import result as controlled
from layercliff.analyses.controls.result import Controlled
from layercliff.analyses.controls.run import controls
from layercliff.analyses.controls.spec import ControlsSpec
from layercliff.choices import Control
from layercliff.paper_claims.evidence import Evidence, Measurement
from layercliff.paper_claims.intervals import Interval, PerQuestion, Sampled
from layercliff.paper_claims.registry import judges, transition
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import Claim, judge, more, part

SHARE = 0.5
CLAIM = Claim(
    "C1",
    "A sharp decision transition exists.",
    f"The two blocks around the jump make more than {SHARE:.0%} of all rises of the decision margin, "
    "and a model of random weights and shuffled answers have no transition.",
)
Margins = Float[np.ndarray, "depth _"]
BY_CHANCE = 0.05  # of the shuffles with a transition


WHICH: tuple[Control, ...] = ("random-weights", "shuffled-gold")
CONTROLS = Measurement(
    "random weights",
    place=10,
    passes=lambda planned: planned.n_layers,
    read=controlled.read,
    run=lambda spec, *_: controls(spec.into(ControlsSpec, which=WHICH)),
    suffices=lambda kept, _: set(WHICH) <= set(kept.settings),
)


@judges(CLAIM, requires=(transition,), needs=(CONTROLS,))
def verdict(evidence: Evidence) -> Verdict:
    """Judge the trace beside the controls."""
    margins, half_of = evidence.decisions[0], evidence.traced.trace.half_of
    chosen, measured = (margins[:, [half == own for half in half_of]] for own in ("select", "report"))
    beside = evidence[CONTROLS]
    random = beside.transition("random-weights", beside.name)
    return judged(chosen, measured, evidence.report, shuffles(beside), random)


def shuffles(found: Controlled) -> tuple[int, float]:
    """How often answers were shuffled, and the share of shuffles with a transition shown as a model's must be."""
    row = found.table.row(
        by_predicate=(pl.col("control") == "shuffled-gold") & (pl.col("task") == found.name), named=True
    )
    return row["draws"], row["decided_draws"]


def judged(
    chosen: Margins, measured: Margins, sampled: Sampled, shuffles: tuple[int, float], random: int | None
) -> Verdict:
    """Judge decision margins ``[depth, question]`` of the two halves. `sampled` is the second one.

    `shuffles` says how often answers were shuffled, and the share of shuffles with a transition. More of them than
    chance gives speak against the measurement. `random` is the transition depth of the random-init control, or None.
    A control has a transition only where a model would be said to: in all but 2.5 % of resamples.
    """
    found = share(chosen, measured, sampled)
    draws, often = shuffles
    control = f"Shuffled answers: a transition in {often:.0%} of {draws} shuffles. Random weights: "
    control += "no transition." if random is None else f"a transition at depth {random}."
    fault = ""
    if (
        random is not None
        or binomtest(round(often * draws), draws, BY_CHANCE, alternative="greater").pvalue < BY_CHANCE
    ):
        fault = "The control has a transition too, so that the one measured says nothing about decisions."
    what = "share of all rises of the margin in the two blocks around the jump (report half)"
    found_verdict = judge(CLAIM, [part(what, found, (SHARE, np.inf), sampled.n)], control, fault)
    if np.isfinite(found.low):
        return found_verdict
    return replace(found_verdict, reason=_no_share(chosen, measured, sampled))


def share(chosen: Margins, measured: Margins, sampled: Sampled) -> Interval:
    """The share of all rises that falls in the block of the largest rise and the greater of its neighbours.

    The `chosen` margins say which blocks these are, and which blocks rise at all. Rises are measured on other
    questions, so that the largest of many noisy rises is not taken for large.

    Each end errs to its own side. Small rises that `chosen` shows as falls are missing from the sum, so that the share
    is too large if anything. The lower end is that of the share of all that rises on `measured`: noise around 0
    counts there too, so that it is too small if anything.
    """
    jump, all_rises = _rises(chosen, measured)
    if sampled.mean(all_rises).low <= 0:  # a share of nothing: no ratio has an end then
        return Interval(float(jump.mean() / all_rises.mean()) if all_rises.mean() > 0 else np.nan, -np.inf, np.inf)
    found = sampled.ratio(jump, all_rises)
    return replace(found, low=min(found.low, _share_of_measured(chosen, measured, sampled).low))


def around(rises: Float[np.ndarray, " block"]) -> list[int]:
    """The block of the largest rise and the greater of its neighbours."""
    block = int(rises.argmax())
    beside = [b for b in (block - 1, block + 1) if 0 <= b < len(rises)]
    return [block, max(beside, key=lambda b: float(rises[b]))] if beside else [block]


def _rises(chosen: Margins, measured: Margins) -> tuple[PerQuestion, PerQuestion]:
    """The rise around the jump, and all rises, question by question."""
    rises, steps = np.diff(chosen, axis=0).mean(1), np.diff(measured, axis=0)
    return steps[around(rises)].sum(0), steps[rises > 0].sum(0)


def _share_of_measured(chosen: Margins, measured: Margins, sampled: Sampled) -> Interval:
    """The share of the rise around the jump in all rises of `measured`, whichever blocks rose in `chosen`.

    Noise makes rises, the more so in resamples. That is not corrected.
    """
    steps = np.diff(measured, axis=0)
    jump = around(np.diff(chosen, axis=0).mean(1))
    point = float(_in_jump(steps.mean(1), jump))
    return sampled.interval(point, _in_jump(sampled.resamples.means(steps), jump), corrected=False)


def _in_jump(rises: Float[np.ndarray, "*rest block"], jump: list[int]) -> Float[np.ndarray, "*rest"]:
    return np.asarray(rises[..., jump].sum(-1) / rises.clip(0).sum(-1))


def _no_share(chosen: Margins, measured: Margins, sampled: Sampled) -> str:
    """Why there is no share where rises are not shown, and how many questions would show them."""
    total = part("", sampled.mean(_rises(chosen, measured)[1]), (0.0, np.inf), sampled.n)
    enough = "no number of questions can be told that would show it"
    if total.questions_needed is not None:
        enough = f"{more(total.questions_needed, sampled.n)} would show it"
    return f"The margin is not shown to rise on the questions reported on, and there is no share of nothing; {enough}."
