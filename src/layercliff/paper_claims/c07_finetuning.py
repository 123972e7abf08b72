"""C7: can fine-tuning restore a collapsed model?"""

from collections.abc import Mapping

import numpy as np

from layercliff.paper_claims.intervals import PerQuestion, Sampled
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import judge, part, undecided

CLAIM = (
    "C7",
    "Fine-tuning cannot restore a collapsed model.",
    "After the same fine-tuning as the dense model gets, the decision margin at the last depth stays below 0 at every trained step beyond the collapse.",
)


def no_step() -> Verdict:
    """What is said where there is nothing to train."""
    return undecided(CLAIM, "The path ends at the collapse: no step lies beyond it, to be trained.")


def not_run() -> Verdict:
    """What is said where no step beyond the collapse was trained."""
    return undecided(CLAIM, "Not run, since it trains the model: ask for it with --recover (in Python, recover=True).")


def judged(
    beyond: Mapping[int, PerQuestion], others: Mapping[str, PerQuestion], dense: PerQuestion, how: str, sampled: Sampled
) -> Verdict:
    """Decision margins at the last depth after training, the mean over seeds: of steps `beyond` the collapse, of `others` by what they are, and of
    the `dense` model, which the same training must not have broken. `how` says in words how was trained."""
    if not beyond:
        return not_run()
    own = sampled.shared(len(beyond))
    parts = [
        part(f"decision margin of step {step} after training", own.mean(margin), (-np.inf, 0.0), sampled.n)
        for step, margin in beyond.items()
    ]
    after = sampled.mean(dense)
    control = f"Trained alike: {how}. The dense model after the same training: {after.point:+.3f} [{after.low:+.3f}, {after.high:+.3f}]"
    control += "".join(f"; {name}: {margin.mean():+.3f}" for name, margin in others.items()) + "."
    fault = "" if after.low > 0 else "The same training leaves the dense model without a decision too."
    return judge(CLAIM, parts, control, fault)
