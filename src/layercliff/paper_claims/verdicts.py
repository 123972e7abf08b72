"""The verdicts on claims, from the evidence of one model and task."""

from collections.abc import Iterable

from layercliff.paper_claims.evidence import Evidence
from layercliff.paper_claims.registry import RegisteredClaim, registered
from layercliff.paper_claims.result import Claimed
from layercliff.paper_claims.rule import FAMILY_SENTENCE


def judge(evidence: Evidence, claims: Iterable[RegisteredClaim] | None = None) -> Claimed:
    """The verdict on each of some `claims` (default: all)."""
    n = len(evidence.path.traces[0].questions)
    about = f"{evidence.traced.caption(evidence.traced.main.name)} "
    about += f"({n} of them reported on where a path or blocks were chosen)"
    if kept := evidence.path.protected:
        about += f"; the path protects {'block' if len(kept) == 1 else 'blocks'} {', '.join(map(str, kept))}"
    judged = registered().values() if claims is None else claims
    return Claimed(about, FAMILY_SENTENCE, tuple(claim.verdict(evidence) for claim in judged))
