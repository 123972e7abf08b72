"""C6: is the Silent Phase fragile under noise, and the Decisive Phase robust?"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from layercliff.choices import Positions
from layercliff.paper_claims.intervals import PerQuestion, Sampled
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import judge, part

CLAIM = (
    "C6",
    "The Silent Phase is fragile under noise, the Decisive Phase robust.",
    "For every size of noise, the decision margin lost in the mean over the depths before the transition is larger than over those from it on.",
)

Losses = Float[np.ndarray, "depth question"]


def excess(loss: Losses, transition: int) -> PerQuestion:
    """What noise before depth T costs more than from it on, question by question."""
    out: PerQuestion = loss[:transition].mean(0) - loss[transition:].mean(0)
    return out


def judged(
    losses: Mapping[float, Losses],
    transition: int,
    sampled: Sampled,
    by_norm: Mapping[float, Losses],
    positions: Positions = "all",
) -> Verdict:
    """Margin lost at the last depth by noise at each depth 0..L, by its size in standard deviations over features; `by_norm` by its size in norms of the state. Both at
    all `positions`, or at those that are read."""
    own = sampled.shared(len(losses))
    parts = []
    for size, loss in losses.items():
        where = "" if positions == "all" else " on the positions that are read"
        what = f"margin lost by noise of size {size:g}{where} before depth {transition} minus from it on"
        parts.append(part(what, own.mean(excess(loss, transition)), (0.0, np.inf), sampled.n))
    found = [f"{size:g} {own.mean(excess(loss, transition)).point:+.3f}" for size, loss in by_norm.items()]
    return judge(CLAIM, parts, f"Noise sized by the norm of the state: {', '.join(found)}." if found else "")
