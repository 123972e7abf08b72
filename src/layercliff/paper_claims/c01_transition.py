"""C1: is there a sharp decision transition?"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.stats import binomtest

from layercliff.paper_claims.intervals import Interval, PerQuestion, Sampled
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import judge, more, part

SHARE = 0.5
CLAIM = (
    "C1",
    "A sharp decision transition exists.",
    f"The two blocks around the jump make more than {SHARE:.0%} of all rises of the decision margin, and a model of random weights and shuffled answers have no transition.",
)
Margins = Float[np.ndarray, "depth _"]
OFTEN = 0.05  # of the shuffles with a transition: that many have one by chance


def share(chosen: Margins, measured: Margins, sampled: Sampled) -> Interval:
    """The share of the summed rises that falls in the block of the largest rise and the greater of its neighbours. Which blocks these are, and which rise at all, is
    read off the `chosen` margins and measured on those of other questions, so that the largest of many noisy rises is not taken for large. Small rises that `chosen`
    shows as falls are missing from the sum, so that the share is too large if anything. Its lower end is therefore that of the share of all that rises on the
    `measured` questions, noise around 0 included, which is too small if anything: each end errs to its own side."""
    jump, all_rises = _rises(chosen, measured)
    if sampled.mean(all_rises).low <= 0:  # a share of nothing: no ratio has an end then
        return Interval(float(jump.mean() / all_rises.mean()) if all_rises.mean() > 0 else np.nan, -np.inf, np.inf)
    found = sampled.ratio(jump, all_rises)
    return replace(found, low=min(found.low, _of_all_that_rises(chosen, measured, sampled).low))


def _of_all_that_rises(chosen: Margins, measured: Margins, sampled: Sampled) -> Interval:
    """The share of the rise around the jump in all rises of the `measured` margins, whichever blocks rose before. Noise makes rises, the more so in resamples: that is not
    corrected."""
    steps = np.diff(measured, axis=0)
    jump = around(np.diff(chosen, axis=0).mean(1))

    def of(rises: Float[np.ndarray, "*rest block"]) -> Float[np.ndarray, "*rest"]:
        return np.asarray(rises[..., jump].sum(-1) / rises.clip(0).sum(-1))

    return sampled.interval(float(of(steps.mean(1))), of(sampled.resamples.means(steps)), corrected=False)


def _rises(chosen: Margins, measured: Margins) -> tuple[PerQuestion, PerQuestion]:
    """The rise around the jump, and all rises, question by question."""
    rises, steps = np.diff(chosen, axis=0).mean(1), np.diff(measured, axis=0)
    return steps[around(rises)].sum(0), steps[rises > 0].sum(0)


def _not_shown(chosen: Margins, measured: Margins, sampled: Sampled) -> str:
    """Why there is no share where the rises are not shown to be any, and how many questions would show them."""
    total = part("", sampled.mean(_rises(chosen, measured)[1]), (0.0, np.inf), sampled.n)
    enough = "no number of questions can be told that would show it"
    if total.questions_needed is not None:
        enough = f"{more(total.questions_needed, sampled.n)} would show it"
    return f"The margin is not shown to rise on the questions reported on, and there is no share of nothing; {enough}."


def around(rises: Float[np.ndarray, " block"]) -> list[int]:
    """The block of the largest rise and the greater of its neighbours."""
    block = int(rises.argmax())
    beside = [b for b in (block - 1, block + 1) if 0 <= b < len(rises)]
    return [block, max(beside, key=lambda b: float(rises[b]))] if beside else [block]


def judged(
    chosen: Margins, measured: Margins, sampled: Sampled, shuffles: tuple[int, float], random: int | None
) -> Verdict:
    """Decision margins ``[depth, question]`` of the two halves, with the sample of the second. `shuffles`: how often answers were shuffled, and the share with a
    transition (more than chance gives at 5 % speak against the measurement). `random`: the transition depth of a model of the same shape with random weights, None without one.
    A control has one where the model would be said to: in all but 2.5 % of resamples."""
    found = share(chosen, measured, sampled)
    draws, often = shuffles
    control = f"Shuffled answers: a transition in {often:.0%} of {draws} shuffles. Random weights: "
    control += "no transition." if random is None else f"a transition at depth {random}."
    fault = ""
    if random is not None or binomtest(round(often * draws), draws, OFTEN, alternative="greater").pvalue < OFTEN:
        fault = "The control has a transition too, so that the one measured says nothing about decisions."
    what = "share of all rises of the margin in the two blocks around the jump (report half)"
    verdict = judge(CLAIM, [part(what, found, (SHARE, np.inf), sampled.n)], control, fault)
    return verdict if np.isfinite(found.low) else replace(verdict, reason=_not_shown(chosen, measured, sampled))
