"""C5: does similarity of hidden states survive the collapse, and that of decisions not?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from layercliff.analyses.similarity.result import What, last_third
from layercliff.models.merged_blocks import shared_blocks
from layercliff.paper_claims.intervals import TAIL, Interval
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import judge, part, undecided

KEPT, LOST = 0.8, 0.5
CLAIM = (
    "C5",
    "Similarity of hidden states survives the collapse; similarity of decisions does not.",
    f"Mean CKA with the dense model over the last third of depths, at the collapse against one step before: hidden states keep more than {KEPT:.0%} of it, decision representations less than {LOST:.0%}.",
)
Sizes = tuple[int, int]


@dataclass(frozen=True)
class Third:
    """Mean CKA over the last third of depths one step `before` the collapse and `at` it, each with the values of the same subsamples, and what is left `at` it with samples paired at random."""

    before: float
    at: float
    before_samples: Float[np.ndarray, " subsample"]
    at_samples: Float[np.ndarray, " subsample"]
    shuffled: float


def kept(third: Third, tail: float, groups: int) -> Interval:
    """The share of similarity that is left; its error is that of ``at - share * before`` over subsamples of half of the groups, whose spread is that of the
    estimate (see `layercliff.metrics.similarity.Similarities`), with as many degrees of freedom as there are `groups` but one. Without end where the similarity before is not shown to be above 0."""
    share = third.at / third.before
    spread = float(np.std(third.at_samples - share * third.before_samples, ddof=1)) / abs(third.before)
    z = float(student.ppf(1 - tail, groups - 1))
    if third.before - z * float(np.std(third.before_samples, ddof=1)) <= 0:
        return Interval(share, -np.inf, np.inf)
    return Interval(share, share - z * spread, share + z * spread)


def untouched(kept: Sequence[int]) -> bool:
    """Whether the last third of the depths of a model that keeps the blocks `kept` begins before the first one that is gone: states there are the dense
    model's own, whatever collapsed."""
    first = last_third(len(kept))[0]
    return shared_blocks(kept, range(first)) == first


def judged(thirds: Mapping[What, Third], n: Sizes, groups: Sizes, tail: float = TAIL) -> Verdict:
    """`thirds` of ``tokens`` (hidden states), ``options`` (decision representations) and, as a control, ``random`` vocabulary rows; `n` questions in so many `groups`, first of
    the hidden states, then of the decisions."""
    if missing := {"tokens", "options", "random"} - set(thirds):
        return undecided(
            CLAIM,
            f"States of the last third do not vary over the questions ({', '.join(sorted(missing))}), so that nothing can be compared.",
        )
    states = kept(thirds["tokens"], tail / 2, groups[0])
    decisions = kept(thirds["options"], tail / 2, groups[1])
    parts = [
        part("share of the similarity of hidden states that is left", states, (KEPT, np.inf), n[0]),
        part("share of the similarity of decisions that is left", decisions, (-np.inf, LOST), n[1]),
    ]
    random = thirds["random"]
    control = f"Samples paired at random: CKA {thirds['tokens'].shuffled:+.2f} (states), {thirds['options'].shuffled:+.2f} (decisions). "
    control += (
        f"Random vocabulary rows in place of the options: {random.before:.2f} before, {random.at:.2f} at the collapse. "
    )
    control += (
        "CKA before and at: "
        + ", ".join(f"{name} {thirds[key].before:.2f}, {thirds[key].at:.2f}" for name, key in _NAMES)
        + "."
    )
    return judge(CLAIM, parts, control)


_NAMES: tuple[tuple[str, What], ...] = (("states", "tokens"), ("decisions", "options"))
