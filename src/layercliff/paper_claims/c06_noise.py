"""C6: is the Silent Phase fragile under noise, and the Decisive Phase robust?"""

from collections.abc import Mapping

import numpy as np

from layercliff.analyses.intervention_result import InterventionResult
from layercliff.analyses.noise import result as noised
from layercliff.analyses.noise.result import NoiseSettings
from layercliff.analyses.noise.run import noise
from layercliff.analyses.noise.spec import READINGS, NoiseSpec, with_reading
from layercliff.choices import Positions
from layercliff.paper_claims.evidence import Evidence, Losses, Measurement, margin_lost
from layercliff.paper_claims.intervals import PerQuestion, Sampled
from layercliff.paper_claims.registry import judges, phases
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import Claim, at_every_depth, judge_any, part

CLAIM = Claim(
    "C6",
    "The Silent Phase is fragile under noise, the Decisive Phase robust.",
    "At one size of noise at least, the decision margin lost in the mean over the depths before the transition is "
    "larger than over those from it on, and at no size it is smaller.",
)


NOISE = Measurement(
    "noise at every depth",
    place=20,
    passes=lambda planned: len(READINGS) * planned.forked,
    read=noised.read,
    run=lambda spec, *_: noise(spec.into(NoiseSpec, draws=1)),
)


@judges(CLAIM, requires=(phases,), needs=(NOISE,))
def verdict(evidence: Evidence) -> Verdict:
    """Judge noise at every depth."""
    found = evidence[NOISE]
    losses, own = by_size(found), (evidence.everything, found.settings.positions)
    return at_every_depth(lambda t: judged(losses, t, *own), evidence.depth, evidence.depths, evidence.n_layers)


def by_size(found: InterventionResult[NoiseSettings]) -> dict[float, Losses]:
    """Margin lost by noise at each depth, by its size, in the mean over draws."""
    sizes, draws = found.settings.eps, found.settings.draws
    losses = margin_lost(found).reshape(len(sizes), draws, len(found.trace.scores), -1).mean(1)
    return dict(zip(map(float, sizes), losses, strict=True))


def judged(losses: Mapping[float, Losses], transition: int, sampled: Sampled, positions: Positions = "all") -> Verdict:
    """Judge the margin lost at the last depth by noise at each depth 0..L, by its size.

    Sizes are in standard deviations over features, at all `positions` or at those that are read. One shown suffices,
    and none may be shown to be the other way round. The claim's error is divided among the sizes.
    """
    own = sampled.shared(len(losses))
    parts = []
    for size, loss in losses.items():
        where = "" if positions == "all" else " on the positions that are read"
        what = f"margin lost by noise of size {with_reading(size)}{where} before depth {transition} minus from it on"
        parts.append(part(what, own.mean(excess(loss, transition)), (0.0, np.inf), sampled.n))
    by_phase = [
        f"{with_reading(size)} {loss[:transition].mean():+.3f} and {loss[transition:].mean():+.3f}"
        for size, loss in losses.items()
    ]
    return judge_any(CLAIM, parts, f"Margin lost before depth {transition} and from it on: {', '.join(by_phase)}.")


def excess(loss: Losses, transition: int) -> PerQuestion:
    """What noise before depth T costs more than from it on, question by question."""
    out: PerQuestion = loss[:transition].mean(0) - loss[transition:].mean(0)
    return out
