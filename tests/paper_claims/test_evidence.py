"""Verdicts from stored traces: of a world in which every claim holds, and of worlds with one flaw each."""

import pytest
import stored_worlds
from stored_worlds import FLAWS

from layercliff.paper_claims import verdicts
from layercliff.paper_claims.result import Claimed

JUDGED = {f"C{number}" for number in range(1, 11)} - {"C8"}  # which needs a study


def judged(flaw: str = "") -> Claimed:
    return verdicts.judge(stored_worlds.evidence(flaw))


def test_every_claim_is_supported_where_it_holds() -> None:
    found = judged()
    answers = {verdict.id: verdict.verdict for verdict in found.verdicts}
    assert answers == dict.fromkeys(JUDGED, "supported") | {"C8": "undecided"}, [v.reason for v in found.verdicts]
    n = {verdict.id: {part.n for part in verdict.parts} for verdict in found.verdicts}
    whole, half = stored_worlds.N, stored_worlds.N // 2
    assert n == {
        "C1": {whole},
        "C2": {half, whole},
        "C3": {half},
        "C4": {half},
        "C5": {whole},
        "C6": {whole},
        "C7": {half},
        "C8": set(),
        "C9": {whole},
        "C10": {whole},
    }


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw_contradicts_its_claims_and_no_other(flaw: str) -> None:
    found, claims = {verdict.id: verdict.verdict for verdict in judged(flaw).verdicts}, FLAWS[flaw]
    assert {name for name, answer in found.items() if answer == "contradicted"} == claims
    assert {name for name, answer in found.items() if answer == "supported"} == JUDGED - claims


@pytest.mark.parametrize(
    ("flaw", "claim", "why"), [("random", "C1", "has a transition too"), ("broken", "C7", "leaves the dense model")]
)
def test_a_control_that_shows_it_too_keeps_a_claim_open(flaw: str, claim: str, why: str) -> None:
    found = judged(flaw)
    assert (found[claim].verdict, why in found[claim].reason) == ("undecided", True)
    assert {verdict.id for verdict in found.verdicts if verdict.verdict == "supported"} == JUDGED - {claim}
