"""The registry of claims: each is one file ``cNN_*.py`` of this folder, which a decorator registers.

A claim says what it requires of a model and which measurements it is judged by. Which of these are made, in which
order, and what they cost follow from that.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from layercliff.paper_claims.claim_files import CLAIM_FILES
from layercliff.paper_claims.evidence import Evidence, Measurement
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import Claim, undecided

Requirement = Callable[[Evidence], str | None]
"""Gives the reason in words where what it requires is missing."""
Judge = Callable[[Evidence], Verdict]


@dataclass(frozen=True)
class RegisteredClaim:
    """A claim, what it `requires`, and how it is judged.

    Without one of what it `needs` it is not judged. What it has `beside` is made as well, for its control.
    """

    claim: Claim
    judge: Judge
    requires: tuple[Requirement, ...]
    needs: tuple[Measurement[Any], ...]
    beside: tuple[Measurement[Any], ...]

    def lacks(self, evidence: Evidence) -> str | None:
        """Why the claim cannot be judged, before anything is measured for it."""
        return next((why for requirement in self.requires if (why := requirement(evidence))), None)

    def verdict(self, evidence: Evidence) -> Verdict:
        """The verdict, or why there is none."""
        if why := self.lacks(evidence):
            return undecided(self.claim, why)
        if not all(one in evidence for one in self.needs):
            return undecided(self.claim, "What it is judged by was not run.")
        return self.judge(evidence)


_REGISTERED: dict[str, RegisteredClaim] = {}


def judges(
    claim: Claim,
    *,
    requires: tuple[Requirement, ...] = (),
    needs: tuple[Measurement[Any], ...] = (),
    beside: tuple[Measurement[Any], ...] = (),
) -> Callable[[Judge], Judge]:
    """Register the decorated function, which judges a `claim` where all that it `requires` and `needs` is there.

    The arguments are those of `RegisteredClaim`.
    """

    def register(judge: Judge) -> Judge:
        return _register(RegisteredClaim(claim, judge, requires, needs, beside))

    return register


def _register(entry: RegisteredClaim) -> Judge:
    _REGISTERED[entry.claim.id] = entry
    return entry.judge


def transition(evidence: Evidence) -> str | None:
    """A transition depth."""
    return evidence.undecided


def phases(evidence: Evidence) -> str | None:
    """A transition depth with enough blocks before and after it."""
    return evidence.short


def collapse(evidence: Evidence) -> str | None:
    """A collapse on the path by margin."""
    return evidence.no_collapse


def registered() -> Mapping[str, RegisteredClaim]:
    """All claims by id, in the order of their files."""
    _import_all()
    return {name: _REGISTERED[name] for name in sorted(_REGISTERED, key=lambda name: int(name[1:]))}


def measurements(claims: Iterable[RegisteredClaim]) -> list[Measurement[Any]]:
    """All that some claims are judged by, in the order in which it is made."""
    every = {one for claim in claims for one in (*claim.needs, *claim.beside)}
    return sorted(every, key=lambda one: one.place)


@cache
def _import_all() -> None:
    for name in CLAIM_FILES:
        import_module(f"{__package__}.{name}")
