"""C5: does similarity of hidden states survive the collapse, and that of decisions not?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float
from scipy.stats import t as student

from layercliff.analyses.similarity import result as similar
from layercliff.analyses.similarity.result import Similar, What, last_third
from layercliff.analyses.similarity.run import similarity
from layercliff.analyses.similarity.spec import SimilaritySpec
from layercliff.metrics.similarity import usual
from layercliff.models.merged_blocks import shared_blocks
from layercliff.paper_claims import requirements, step_analyses
from layercliff.paper_claims.evidence import Evidence, Measurement
from layercliff.paper_claims.intervals import TAIL, Interval
from layercliff.paper_claims.registry import collapse, judges
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import Claim, judge, part, undecided
from layercliff.paper_claims.spec import ClaimsSpec
from layercliff.pruning.result import Pruned

KEPT, LOST = 0.8, 0.5
CLAIM = Claim(
    "C5",
    "Similarity of hidden states survives the collapse; similarity of decisions does not.",
    "Mean CKA with the dense model over the last third of depths, at the collapse against one step before: hidden "
    f"states keep more than {KEPT:.0%} of it, decision representations less than {LOST:.0%}.",
)
MAPS: tuple[What, ...] = ("tokens", "options", "random")
Sizes = tuple[int, int]


@dataclass(frozen=True)
class Third:
    """Mean CKA over the last third of depths, one step `before` the collapse and `at` it.

    Each has its values in the same subsamples. `shuffled` is what is left at the collapse with samples paired at
    random.
    """

    before: float
    at: float
    before_samples: Float[np.ndarray, " subsample"]
    at_samples: Float[np.ndarray, " subsample"]
    shuffled: float


def has_steps(found: Similar, path: Pruned, step: int) -> bool:
    """Whether a similarity speaks of the steps before and at `step` of a path, with its subsamples."""
    return "third_samples" in found.summary.columns and step_analyses.holds(path, [step - 1, step], found)


def _run(spec: ClaimsSpec, evidence: Evidence, kept: Similar | None) -> Similar:
    step = evidence.collapse_step
    own = step_analyses.options(evidence.path, [step - 1, step], kept, "tokens")
    return similarity(spec.into(SimilaritySpec, **own))


SIMILAR = Measurement(
    "states of",
    place=70,
    passes=lambda planned: 3 * planned.n_layers,
    read=similar.read,
    run=_run,
    suffices=lambda kept, evidence: has_steps(kept, evidence.path, evidence.collapse_step),
    check=lambda run: step_analyses.check(run, "similarity", similar.read(run)),
)


@judges(CLAIM, requires=(collapse,), needs=(SIMILAR,))
def verdict(evidence: Evidence) -> Verdict:
    """Judge similarity where states of the last third are not the dense model's own."""
    step = evidence.collapse_step
    if untouched(evidence.path.steps[step].kept):
        why = "At the collapse the last third of depths begins before the first block that is gone, "
        return undecided(CLAIM, f"{why}with states that are the dense model's own.")
    groups = np.array(evidence.traced.trace.groups)
    compared = groups[usual(evidence.traced.trace.mask)]
    if few := requirements.few(len(set(compared)), len(compared)):
        return undecided(CLAIM, f"Decisions are compared over questions of as many options as most have: {few}")
    sizes, apart = (len(groups), len(compared)), (len(set(groups)), len(set(compared)))
    return judged(thirds(evidence[SIMILAR], step), sizes, apart)


def untouched(kept: Sequence[int]) -> bool:
    """Whether a model's last third of depths begins before the first block that is gone.

    States there are the dense model's own, whatever collapsed. `kept` are the blocks that are left.
    """
    first = last_third(len(kept))[0]
    return shared_blocks(kept, range(first)) == first


def thirds(found: Similar, step: int) -> dict[What, Third]:
    """The last third of depths one step before `step` and at it, of every map that could be compared."""
    table = found.summary.filter(~pl.col("standardised"))
    one: dict[What, Third] = {}
    for what in MAPS:
        rows = [table.filter((pl.col("what") == what) & (pl.col("step") == k)).to_dicts() for k in (step - 1, step)]
        if all(row and row[0]["third"] is not None for row in rows):
            before, at = (row[0] for row in rows)
            first, second = (np.array(row["third_samples"], np.float64) for row in (before, at))
            one[what] = Third(before["third"], at["third"], first, second, at["third_shuffled"])
    return one


def judged(thirds: Mapping[What, Third], n: Sizes, groups: Sizes, tail: float = TAIL) -> Verdict:
    """Judge the `thirds` of hidden states, decision representations and, as a control, random vocabulary rows.

    `n` are the questions and `groups` their groups, first of the hidden states, then of the decisions.
    """
    if missing := set(MAPS) - set(thirds):
        why = f"States of the last third do not vary over the questions ({', '.join(sorted(missing))}), "
        return undecided(CLAIM, f"{why}so that nothing can be compared.")
    states = kept(thirds["tokens"], tail / 2, groups[0])
    decisions = kept(thirds["options"], tail / 2, groups[1])
    parts = [
        part("share of the similarity of hidden states that is left", states, (KEPT, np.inf), n[0]),
        part("share of the similarity of decisions that is left", decisions, (-np.inf, LOST), n[1]),
    ]
    return judge(CLAIM, parts, _control(thirds))


def kept(third: Third, tail: float, groups: int) -> Interval:
    """The share of similarity that is left.

    Its error is that of ``at - share * before`` over subsamples of half of the groups, whose spread is that of the
    estimate (see `layercliff.metrics.similarity.Similarities`). It has as many degrees of freedom as there are
    `groups`, less one. It has no ends where the similarity before is not shown to be above 0.
    """
    share = third.at / third.before
    spread = float(np.std(third.at_samples - share * third.before_samples, ddof=1)) / abs(third.before)
    z = float(student.ppf(1 - tail, groups - 1))
    if third.before - z * float(np.std(third.before_samples, ddof=1)) <= 0:
        return Interval(share, -np.inf, np.inf)
    return Interval(share, share - z * spread, share + z * spread)


def _control(thirds: Mapping[What, Third]) -> str:
    states, decisions, random = (thirds[what] for what in MAPS)
    return (
        f"Samples paired at random: CKA {states.shuffled:+.2f} (states), {decisions.shuffled:+.2f} (decisions). "
        f"Random vocabulary rows in place of the options: {random.before:.2f} before, {random.at:.2f} at the "
        f"collapse. CKA before and at: states {states.before:.2f}, {states.at:.2f}, "
        f"decisions {decisions.before:.2f}, {decisions.at:.2f}."
    )
