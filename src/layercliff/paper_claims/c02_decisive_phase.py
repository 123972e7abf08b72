"""C2: does pruning the Decisive Phase cost little?"""

import numpy as np
from jaxtyping import Float

from layercliff.interventions.subsets import size
from layercliff.paper_claims.evidence import Evidence
from layercliff.paper_claims.intervals import PerQuestion, Sampled
from layercliff.paper_claims.registry import judges, phases
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import Claim, judge, part
from layercliff.paper_claims.subsets.result import right_without
from layercliff.paper_claims.subsets.run import SUBSETS

POINTS = 0.05
CLAIM = Claim(
    "C2",
    "Pruning the Decisive Phase costs little.",
    "Without m blocks of the Decisive Phase (half of the shorter phase, rounded up), the ones chosen by margin and "
    f"the last ones, less than {100 * POINTS:.0f} points of accuracy are lost.",
)

PerReported = Float[np.ndarray, " reported"]


@judges(CLAIM, requires=(phases,), needs=(SUBSETS,))
def verdict(evidence: Evidence) -> Verdict:
    """Judge sets of blocks removed. The model without its last m blocks is what the trace reads at depth L - m."""
    m, correct, sets = size(evidence.n_layers, evidence.depth), evidence.decisions[1], evidence[SUBSETS]
    best = sets.undisturbed[1], right_without(sets, "best")[0]
    tail = correct[-1], correct[evidence.n_layers - m]
    return judged(best, tail, right_without(sets, "anywhere"), m, (evidence.report, evidence.everything))


def judged(
    best: tuple[PerReported, PerReported],
    tail: tuple[PerQuestion, PerQuestion],
    anywhere: Float[np.ndarray, "draw reported"],
    m: int,
    sampled: tuple[Sampled, Sampled],
) -> Verdict:
    """Judge right answers of the dense model and without `m` blocks: the `best` ones, and the `tail`.

    Those of `best` and of `anywhere` (`m` random blocks) are on questions that took no part in the choice, those of
    `tail` on all. `sampled` are the samples of `best` and of `tail`.
    """
    parts = []
    for what, (dense, without), own in zip(
        (f"{m} decisive blocks by margin (report half)", f"the last {m} blocks"), (best, tail), sampled, strict=True
    ):
        loss = own.shared(2).loss(dense, without)
        parts.append(part(f"accuracy lost without {what}", loss, (-np.inf, POINTS), own.n))
    losses = 100 * (best[0].mean() - anywhere.mean(1))
    control = (
        f"{m} blocks from anywhere, {len(losses)} random draws: {losses.mean():+.1f} points lost in the mean "
        f"({losses.min():+.1f} to {losses.max():+.1f})."
    )
    return judge(CLAIM, parts, control)
