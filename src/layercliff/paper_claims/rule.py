"""From intervals to verdicts: one rule for all claims."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from layercliff.metrics.collapse import questions_needed, scaled_bound
from layercliff.paper_claims.intervals import CLAIMS, FAMILY, Interval
from layercliff.paper_claims.result import Answer, ClaimedNumber, Verdict

FAMILY_SENTENCE = (
    "A claim is supported only where the whole interval lies where the claim says, contradicted only where none of it "
    f"does, otherwise undecided. Each bound is one-sided at {FAMILY / CLAIMS:.1%} ({FAMILY:.0%} over {CLAIMS} claims, "
    "Bonferroni; divided again among the parts of a claim), so that all verdicts of a page are right together with "
    f"{1 - FAMILY:.0%}. Groups of questions are resampled whole, draws of blocks with them. But for the jump, T and "
    "the collapse point, depths and blocks chosen by the data are measured on other questions."
)

EITHER = 2  # blocks on either side of T, at least


class Claim(NamedTuple):
    """A claim of the paper, and what has to hold for it to be supported."""

    id: str
    statement: str
    rule: str


def part(what: str, found: Interval, claimed: tuple[float, float], n: int) -> ClaimedNumber:
    """Compare an interval with the range that a claim speaks of."""
    answer = _answer(found, claimed)
    needed = _needed(found, claimed, n) if answer == "undecided" else None
    numbers = (found.point, found.low, found.high, *claimed)
    point, low, high, least, most = (float(v) if np.isfinite(v) else None for v in numbers)
    return ClaimedNumber(what, point, low, high, (least, most), n, answer, needed)


def _answer(found: Interval, claimed: tuple[float, float]) -> Answer:
    least, most = claimed
    if np.isnan(found.point):
        return "undecided"
    if (least == -np.inf or found.low > least) and (most == np.inf or found.high < most):
        return "supported"
    return "contradicted" if found.high < least or found.low > most else "undecided"


def _needed(found: Interval, claimed: tuple[float, float], n: int) -> int | None:
    """About how many questions would bring the interval to one side, if the estimate stays."""
    least, most = claimed
    if not found.scales or not np.isfinite([found.point, found.low, found.high]).all():
        return None
    below = partial(scaled_bound, found.point, found.high)  # as a function of how many times the questions
    above = partial(scaled_bound, -found.point, -found.low)
    if found.point <= least:
        return questions_needed(below, n, least)
    if found.point >= most:
        return questions_needed(above, n, -most)
    ends = [(below, most), (above, -least)]
    needed = [questions_needed(bound, n, limit) for bound, limit in ends if np.isfinite(limit)]
    return None if None in needed else max(number for number in needed if number is not None)


def judge(claim: Claim, parts: Sequence[ClaimedNumber], control: str, fault: str = "") -> Verdict:
    """All parts must hold. One that fails is enough to contradict.

    `fault` says why the control speaks against the measurement, if it does. Nothing is then supported.
    """
    answers = [one.answer for one in parts]
    answer: Answer = "undecided"
    if "contradicted" in answers:
        answer = "contradicted"
    elif all(one == "supported" for one in answers) and not fault:
        answer = "supported"
    found = Verdict(*claim, answer, tuple(parts), control)
    return replace(found, reason=_reason(found, fault))


def judge_any(claim: Claim, parts: Sequence[ClaimedNumber], control: str) -> Verdict:
    """One part that is shown is enough to support, one that fails to contradict. Both together decide nothing."""
    answers = {one.answer for one in parts} - {"undecided"}
    answer: Answer = next(iter(answers)) if len(answers) == 1 else "undecided"
    found = Verdict(*claim, answer, tuple(parts), control)
    if answers:
        shown = [f"{one.what} is {one.answer}" for one in parts if one.answer != "undecided"]
        return replace(found, reason="" if len(answers) == 1 else f"Parts contradict one another: {'; '.join(shown)}.")
    known = [(one.questions_needed, one.n) for one in parts if one.questions_needed is not None]
    enough = (
        f"{more(*min(known))} would settle it" if known else "no number of questions can be told that would settle it"
    )
    return replace(found, reason=f"Every interval lies on both sides of what is claimed; {enough}.")


def at_every_depth(verdict_at: Callable[[int], Verdict], depth: int, depths: range, n_layers: int) -> Verdict:
    """The verdict at T, the `depth`, if every T of its interval gives the same.

    Otherwise nothing is decided. A T without `EITHER` blocks on both sides gives no verdict.
    """
    found = verdict_at(depth)
    others = (one for one in depths if one != depth)
    if found.verdict == "undecided" or all(
        EITHER <= one <= n_layers - EITHER and verdict_at(one).verdict == found.verdict for one in others
    ):
        return found
    reason = f"T is not sharp: depth {depths[0]} to {depths[-1]}. Not all of these give the verdict of depth {depth}."
    return replace(found, verdict="undecided", reason=reason)


def undecided(claim: Claim, reason: str) -> Verdict:
    """A claim that was not measured, with the reason."""
    return Verdict(*claim, "undecided", reason=reason)


def _reason(found: Verdict, fault: str) -> str:
    if found.verdict != "undecided":
        return ""
    if fault and all(one.answer == "supported" for one in found.parts):
        return fault
    open_parts = [one for one in found.parts if one.answer == "undecided"]
    known = [(one.questions_needed, one.n) for one in open_parts if one.questions_needed is not None]
    which = f" ({'; '.join(one.what for one in open_parts)})" if len(found.parts) > 1 else ""
    both = f"The interval lies on both sides of what is claimed{which}"
    if fault:
        return f"{both}, and the control speaks against it. {fault}"
    if len(known) < len(open_parts):
        return f"{both}, and no number of questions can be told that would settle it."
    return f"{both}; {more(*max(known, key=lambda pair: pair[0] / pair[1]))} would settle it."


def more(needed: int, n: int) -> str:
    """So many questions in the place of `n`, which may be a half of those asked and grows with the whole."""
    return f"about {max(needed / n, 1.1):,.1f} times as many questions ({needed:,} in place of {n:,})"
