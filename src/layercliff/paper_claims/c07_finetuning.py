"""C7: can fine-tuning restore a collapsed model?"""

from collections.abc import Mapping

import numpy as np

from layercliff.analyses.recover.result import Recovered
from layercliff.paper_claims.evidence import Evidence, decisions
from layercliff.paper_claims.intervals import PerQuestion, Sampled
from layercliff.paper_claims.registry import collapse, judges
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import Claim, judge, part, undecided
from layercliff.paper_claims.training import TRAINED, is_of

CLAIM = Claim(
    "C7",
    "Fine-tuning cannot restore a collapsed model.",
    "After the same fine-tuning as the dense model gets, the decision margin at the last depth stays below 0 at every "
    "trained step beyond the collapse.",
)
NO_STEP = "The path ends at the collapse: no step lies beyond it, to be trained."
NOT_RUN = "Not run, since it trains the model: ask for it with --recover (in Python, recover=True)."


def step_beyond(evidence: Evidence) -> str | None:
    """A step beyond the collapse."""
    return NO_STEP if evidence.collapse_step == len(evidence.path.steps) - 1 else None


@judges(CLAIM, requires=(collapse, step_beyond), beside=(TRAINED,))
def verdict(evidence: Evidence) -> Verdict:
    """Judge trained steps beyond the collapse, where there are any."""
    found = evidence.get(TRAINED)
    if found is None or not is_of(found, evidence.path):
        return undecided(CLAIM, NOT_RUN)
    after = margins(found)
    beyond = {step: margin for step, margin in after.items() if found.place(step) == "beyond"}
    others = {
        f"step {step} ({found.place(step)} the collapse)": margin
        for step, margin in after.items()
        if step and step not in beyond
    }
    return judged(beyond, others, after[0], training(found), evidence.report)


def margins(found: Recovered) -> dict[int, PerQuestion]:
    """The decision margin of each step at the last depth after training, the mean over seeds."""
    last = np.array([-1])
    return {
        step: np.mean([decisions(trace.at(last))[0][0] for trace in traces], 0)
        for step, traces in found.trained.items()
    }


def training(found: Recovered) -> str:
    """How was trained, in words."""
    how, seeds = found.settings, found.settings.seeds
    mean = f", mean of {seeds} seeds" if seeds > 1 else ""
    return f"{how.method}, {how.updates} updates of {how.batch} questions{mean}"


def judged(
    beyond: Mapping[int, PerQuestion], others: Mapping[str, PerQuestion], dense: PerQuestion, how: str, sampled: Sampled
) -> Verdict:
    """Judge decision margins at the last depth after training, the mean over seeds.

    They are those of steps `beyond` the collapse, of `others` by what they are, and of the `dense` model, which the
    same training must not have broken. `how` says in words how was trained.
    """
    if not beyond:
        return undecided(CLAIM, NOT_RUN)
    own = sampled.shared(len(beyond))
    parts = [
        part(f"decision margin of step {step} after training", own.mean(margin), (-np.inf, 0.0), sampled.n)
        for step, margin in beyond.items()
    ]
    after = sampled.mean(dense)
    control = (
        f"Trained alike: {how}. The dense model after the same training: "
        f"{after.point:+.3f} [{after.low:+.3f}, {after.high:+.3f}]"
    )
    control += "".join(f"; {name}: {margin.mean():+.3f}" for name, margin in others.items()) + "."
    fault = "" if after.low > 0 else "The same training leaves the dense model without a decision too."
    return judge(CLAIM, parts, control, fault)
