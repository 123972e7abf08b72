"""C9: are the blocks at the transition the ones that cannot go?"""

from functools import partial

import numpy as np

from layercliff.analyses.ablate import result as ablated
from layercliff.analyses.ablate.run import skip_blocks
from layercliff.analyses.ablate.spec import AblateSpec
from layercliff.interventions.ablated_blocks import ablated_blocks
from layercliff.paper_claims.evidence import Evidence, Losses, Measurement, margin_lost
from layercliff.paper_claims.intervals import Sampled
from layercliff.paper_claims.registry import judges, phases
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import Claim, at_every_depth, judge, part

CLAIM = Claim(
    "C9",
    "The blocks at the transition are the ones that cannot go.",
    "The mean loss of margin without block T-2 or T-1 is larger than without block T or T+1; whether other blocks "
    "cost more still is said beside it.",
)


ABLATED = Measurement(
    "blocks and pairs taken out",
    place=30,
    passes=lambda planned: 2 * planned.forked,  # single blocks and pairs
    read=ablated.read,
    run=lambda spec, *_: skip_blocks(spec.into(AblateSpec)),
)


@judges(CLAIM, requires=(phases,), needs=(ABLATED,))
def verdict(evidence: Evidence) -> Verdict:
    """Judge single blocks and pairs skipped."""
    n_layers = evidence.n_layers
    skipped = len(ablated_blocks(n_layers, ("skip",)))  # single blocks, then pairs; other ablations come after them
    losses = margin_lost(evidence[ABLATED])[:skipped]
    sampled = evidence.sampled(evidence[ABLATED].trace)
    judged_at = partial(judged, losses[:n_layers], losses[n_layers:], sampled)
    return at_every_depth(judged_at, evidence.depth, evidence.depths, n_layers)


def judged(single: Losses, pairs: Losses, sampled: Sampled, transition: int) -> Verdict:
    """Judge the margin lost without each block, and without each block and the next."""
    t = transition
    excess = single[t - 2 : t].mean(0) - single[t : t + 2].mean(0)
    what = f"margin lost without block {t - 2} or {t - 1} minus without block {t} or {t + 1}"
    worst, other = int(single.mean(1).argmax()), int(pairs.mean(1).argmax())
    control = (
        f"Among all {len(single)} single blocks, {t - 2} and {t - 1} rank {rank(single, t - 2)} and "
        f"{rank(single, t - 1)} by what they cost ({single[t - 2].mean():+.2f}, {single[t - 1].mean():+.2f}); "
        f"block {worst} costs most ({single[worst].mean():+.2f}). Of {len(pairs)} pairs, {t - 2}-{t - 1} ranks "
        f"{rank(pairs, t - 2)}; {other}-{other + 1} costs most ({pairs[other].mean():+.2f})."
    )
    return judge(CLAIM, [part(what, sampled.mean(excess), (0.0, np.inf), sampled.n)], control)


def rank(losses: Losses, index: int) -> int:
    """1 for the row with the largest mean loss."""
    means = losses.mean(1)
    return int((means > means[index]).sum()) + 1
