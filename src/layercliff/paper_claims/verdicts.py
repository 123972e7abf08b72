"""The verdicts on all claims, from the evidence of one model and task."""

from layercliff.paper_claims import (
    c01_transition,
    c02_decisive_phase,
    c03_silent_phase,
    c04_collapse,
    c05_similarity,
    c06_noise,
    c07_finetuning,
    c08_critical_ratio,
    c09_blocks_that_stay,
    c10_silent_phase_kept,
)
from layercliff.paper_claims.evidence import Evidence
from layercliff.paper_claims.result import Claimed
from layercliff.paper_claims.rule import FAMILY_SENTENCE

CLAIMS = (
    c01_transition, c02_decisive_phase, c03_silent_phase, c04_collapse, c05_similarity, c06_noise, c07_finetuning,
    c08_critical_ratio, c09_blocks_that_stay, c10_silent_phase_kept,
)  # fmt: skip
"""Each has its `CLAIM`, and judges it by `verdict`."""


def judge(evidence: Evidence) -> Claimed:
    """The verdict on every claim."""
    n = len(evidence.path.traces[0].questions)
    about = f"{evidence.traced.caption(evidence.traced.main.name)} "
    about += f"({n} of them reported on where a path or blocks were chosen)"
    if kept := evidence.path.protected:
        about += f"; the path protects {'block' if len(kept) == 1 else 'blocks'} {', '.join(map(str, kept))}"
    return Claimed(about, FAMILY_SENTENCE, tuple(claim.verdict(evidence) for claim in CLAIMS))
