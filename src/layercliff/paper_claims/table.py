"""The table of verdicts, in words."""

from dataclasses import dataclass

from layercliff.paper_claims.result import ANSWERS, Claimed, ClaimedNumber, Verdict


@dataclass(frozen=True)
class VerdictRow:
    """A verdict as it is shown. `measured` has, per part, what was measured and its numbers."""

    id: str
    statement: str
    verdict: str
    measured: tuple[tuple[str, str], ...]
    rule: str
    control: str
    reason: str


def rows(found: Claimed) -> list[VerdictRow]:
    """A row per claim."""
    return [_row(verdict) for verdict in found.verdicts]


def summary(found: Claimed) -> str:
    """How many claims came out how, in a sentence."""
    named = {answer: [v.id for v in found.verdicts if v.verdict == answer] for answer in ANSWERS}
    return " ".join(f"{answer.capitalize()}: {', '.join(ids) or 'none'}." for answer, ids in named.items())


def _row(found: Verdict) -> VerdictRow:
    parts = tuple((part.what, f"{numbers(part)}, n = {part.n:,}") for part in found.parts)
    return VerdictRow(found.id, found.statement, found.verdict, parts, found.rule, found.control, found.reason)


def numbers(part: ClaimedNumber) -> str:
    """``+0.12 [+0.05, +0.18], claimed > 0.1``. ``[-∞, ∞]`` where the interval has no ends."""
    point = _signed(part.measured, "beyond the path" if part.what.startswith("steps") else "no number")
    low, high = _signed(part.low, "∞" if _all_beyond(part) else "-∞"), _signed(part.high, "∞")
    least, most = part.claimed
    claimed = f"> {least:g}" if most is None else f"< {most:g}" if least is None else f"{least:g} to {most:g}"
    return f"{point} [{low}, {high}], claimed {claimed}"


def _signed(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:+.3f}"


def _all_beyond(part: ClaimedNumber) -> bool:
    """Whether nothing of an interval is finite. Without ends it would hold what is claimed, and contradict nothing."""
    return part.answer == "contradicted" and part.low is None and part.high is None
