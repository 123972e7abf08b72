"""C2: does pruning the Decisive Phase cost little?"""

import numpy as np
from jaxtyping import Float

from layercliff.paper_claims.intervals import Sampled
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import judge, part

POINTS = 0.05
CLAIM = (
    "C2",
    "Pruning the Decisive Phase costs little.",
    f"Without m blocks of the Decisive Phase (half of the shorter phase, rounded up), the ones chosen by margin and the last ones, less than {100 * POINTS:.0f} points of accuracy are lost.",
)

Reported = Float[np.ndarray, " reported"]
Asked = Float[np.ndarray, " question"]


def judged(
    best: tuple[Reported, Reported],
    tail: tuple[Asked, Asked],
    anywhere: Float[np.ndarray, "draw reported"],
    m: int,
    sampled: tuple[Sampled, Sampled],
) -> Verdict:
    """Right answers of the dense model and without `m` blocks: the `best` ones, on questions that took no part in the choice, and the `tail`, each with its own
    sample. `anywhere`: without `m` random blocks, on the questions of `best`."""
    parts = []
    for what, (dense, without), own in zip(
        (f"{m} decisive blocks by margin (report half)", f"the last {m} blocks"), (best, tail), sampled, strict=True
    ):
        parts.append(
            part(f"accuracy lost without {what}", own.shared(2).loss(dense, without), (-np.inf, POINTS), own.n)
        )
    losses = best[0].mean() - anywhere.mean(1)
    control = f"{m} blocks from anywhere, {len(losses)} random draws: {100 * losses.mean():+.1f} points lost in the mean ({100 * losses.min():+.1f} to {100 * losses.max():+.1f})."
    return judge(CLAIM, parts, control)
