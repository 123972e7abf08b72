"""C1: is there a sharp decision transition?"""

from dataclasses import replace

import numpy as np
import polars as pl
from scipy.stats import binomtest

from layercliff.analyses.controls import result as controlled
from layercliff.analyses.controls.result import Controlled
from layercliff.analyses.controls.run import controls
from layercliff.analyses.controls.spec import ControlsSpec
from layercliff.choices import Control
from layercliff.paper_claims.evidence import Evidence, Measurement
from layercliff.paper_claims.registry import judges, transition
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import Claim, judge, more, part
from layercliff.paper_claims.share_of_rises import Share

SHARE = 0.5
CLAIM = Claim(
    "C1",
    "A sharp decision transition exists.",
    "The two blocks around the jump, the same by both halves of the questions, "
    f"make more than {SHARE:.0%} of all rises of the decision margin, "
    "and a model of random weights and shuffled answers have no transition.",
)
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
    chosen = np.array([half == "select" for half in evidence.traced.trace.half_of])
    beside = evidence[CONTROLS]
    random = beside.transition("random-weights", beside.name)
    found = Share(np.diff(evidence.decisions[0], axis=0), chosen, evidence.everything)
    return judged(found, shuffles(beside), random)


def shuffles(found: Controlled) -> tuple[int, float]:
    """How often answers were shuffled, and the share of shuffles with a transition shown as a model's must be."""
    row = found.table.row(
        by_predicate=(pl.col("control") == "shuffled-gold") & (pl.col("task") == found.name), named=True
    )
    return row["draws"], row["decided_draws"]


def judged(share: Share, shuffles: tuple[int, float], random: int | None) -> Verdict:
    """Judge the share of the rises around the jump.

    `shuffles` says how often answers were shuffled, and the share of shuffles with a transition. More of them than
    chance gives speak against the measurement. `random` is the transition depth of the random-init control, or None.
    A control has a transition only where a model would be said to: in all but 2.5 % of resamples.
    """
    found = share.interval()
    draws, often = shuffles
    control = f"Shuffled answers: a transition in {often:.0%} of {draws} shuffles. Random weights: "
    control += "no transition." if random is None else f"a transition at depth {random}."
    fault = ""
    if (
        random is not None
        or binomtest(round(often * draws), draws, BY_CHANCE, alternative="greater").pvalue < BY_CHANCE
    ):
        fault = "The control has a transition too, so that the one measured says nothing about decisions."
    what = "share of all rises of the margin in the two blocks around the jump"
    judged_share = judge(CLAIM, [part(what, found, (SHARE, np.inf), share.sampled.n)], control, fault)
    if np.isfinite(found.low) or judged_share.verdict == "contradicted":
        return judged_share
    return replace(judged_share, reason=_no_share(share))


def _no_share(share: Share) -> str:
    """Why there is no lower end, and how many questions would show one where rises are not shown."""
    if not share.agree:
        first, second = (" and ".join(map(str, sorted(blocks))) for blocks in share.named)
        return (
            f"The two halves of the questions do not name the same blocks around the jump: {first} by one, {second} by "
            "the other."
        )
    n = share.sampled.n
    total = part("", share.sampled.mean(share.rises[share.jump].sum(0)), (0.0, np.inf), n)
    enough = "no number of questions can be told that would show it"
    if total.questions_needed is not None:
        enough = f"{more(total.questions_needed, n)} would show it"
    return f"The margin is not shown to rise around the jump, and there is no share of nothing; {enough}."
