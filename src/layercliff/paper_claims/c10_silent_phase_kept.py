"""C10: does a model that keeps its Silent Phase keep its accuracy?"""

import numpy as np

from layercliff.paper_claims.evidence import Evidence
from layercliff.paper_claims.intervals import PerQuestion, Sampled
from layercliff.paper_claims.registry import judges, phases
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import Claim, judge, part
from layercliff.paper_claims.subsets.result import right_without, subsets
from layercliff.paper_claims.subsets.run import SUBSETS

POINTS = 0.05
CLAIM = Claim(
    "C10",
    "With the Silent Phase kept, accuracy survives pruning.",
    f"Without the whole Decisive Phase, less than {100 * POINTS:.0f} points of accuracy are lost. (That the metrics "
    "forecast the collapse of other models is judged over a study.)",
)


@judges(CLAIM, requires=(phases,), beside=(SUBSETS,))
def verdict(evidence: Evidence) -> Verdict:
    """Judge the model without its Decisive Phase, which is what the trace reads at depth T."""
    correct, depth, control = evidence.decisions[1], evidence.depth, ""
    if (sets := evidence.get(SUBSETS)) is not None:
        (removed,) = (subset.removed for subset in subsets(sets) if subset.kind == "silent by margin")
        loss = sets.undisturbed[1].mean() - right_without(sets, "silent by margin")[0].mean()
        control = f"{len(removed)} silent blocks, chosen by margin one after another: {100 * loss:+.1f} points lost."
    return judged(correct[-1], correct[depth], evidence.n_layers - depth, evidence.everything, control)


def judged(dense: PerQuestion, exhausted: PerQuestion, blocks: int, sampled: Sampled, control: str) -> Verdict:
    """Judge right answers of the dense model, and of the model without all `blocks` of the Decisive Phase.

    `control` says what as many silent blocks cost, in a sentence.
    """
    what = f"accuracy lost without all {blocks} decisive blocks"
    return judge(CLAIM, [part(what, sampled.loss(dense, exhausted), (-np.inf, POINTS), sampled.n)], control)
