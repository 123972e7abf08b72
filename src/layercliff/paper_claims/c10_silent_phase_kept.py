"""C10: does a model that keeps its Silent Phase keep its accuracy?"""

import numpy as np

from layercliff.paper_claims.intervals import PerQuestion, Sampled
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import judge, part

POINTS = 0.05
CLAIM = (
    "C10",
    "With the Silent Phase kept, accuracy survives pruning.",
    f"Without the whole Decisive Phase, less than {100 * POINTS:.0f} points of accuracy are lost. (That the metrics foretell the collapse of other models is judged over a study.)",
)


def judged(dense: PerQuestion, exhausted: PerQuestion, blocks: int, sampled: Sampled, control: str) -> Verdict:
    """Right answers of the dense model, and of the model without all `blocks` of the Decisive Phase, which ends at depth T. `control`: the same of as many silent blocks, in a sentence."""
    what = f"accuracy lost without all {blocks} decisive blocks"
    return judge(CLAIM, [part(what, sampled.loss(dense, exhausted), (-np.inf, POINTS), sampled.n)], control)
