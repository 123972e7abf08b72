"""C3: does pruning the Silent Phase collapse the model at once?"""

from itertools import combinations
from math import comb

import numpy as np
from jaxtyping import Float

from layercliff.interventions.subsets import is_whole, size
from layercliff.paper_claims.evidence import Evidence
from layercliff.paper_claims.intervals import Interval, Sampled
from layercliff.paper_claims.registry import judges, phases
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import Claim, judge, part
from layercliff.paper_claims.subsets.result import right_without, subsets
from layercliff.paper_claims.subsets.run import SUBSETS
from layercliff.random_streams import RandomStream, generator

POINTS = 0.10
CLAIM = Claim(
    "C3",
    "Pruning the Silent Phase collapses the model at once.",
    f"m blocks of the Silent Phase cost more than {100 * POINTS:.0f} points of accuracy more than m of the Decisive "
    "Phase (half of the shorter phase, rounded up; random subsets of each).",
)
PERMUTATIONS = 2000

Right = Float[np.ndarray, "_ question"]
"""Right answers, a row per subset of blocks removed."""


@judges(CLAIM, requires=(phases,), needs=(SUBSETS,))
def verdict(evidence: Evidence) -> Verdict:
    """Judge random sets of blocks removed from either phase."""
    n_layers, depth, sets = evidence.n_layers, evidence.depth, evidence[SUBSETS]
    m, removed = size(n_layers, depth), subsets(sets)
    whole = is_whole(removed, "decisive", n_layers - depth, m), is_whole(removed, "silent", depth, m)
    silent, decisive = (right_without(sets, kind) for kind in ("silent", "decisive"))
    return judged(silent, decisive, whole, m, evidence.report, evidence.traced.subject.seed)


def judged(silent: Right, decisive: Right, whole: tuple[bool, bool], m: int, sampled: Sampled, seed: int) -> Verdict:
    """Judge right answers without `m` random blocks of each phase.

    `whole` says whether the decisive and the silent subsets are all that there are.
    """
    found = difference(silent, decisive, whole, sampled, seed)
    p = permuted(silent, decisive, seed)
    what = (
        f"accuracy lost without {m} silent blocks minus without {m} decisive ones "
        f"({len(silent)} and {len(decisive)} subsets, report half)"
    )
    control = (
        f"Phase labels exchanged over the subsets: one-sided p = {p:.2g}. Accuracy without silent blocks "
        f"{_mean_and_range(silent)}, without decisive ones {_mean_and_range(decisive)}."
    )
    fault, least = "", 1 / _ways(decisive, silent)
    if least > sampled.tail:
        control += f" So few subsets cannot show less than p = {least:.2g}, and this control says nothing."
    elif p > sampled.tail:
        fault = f"Phase labels exchanged give as large a difference too often (p = {p:.2g}, {sampled.tail:g} allowed)."
    return judge(CLAIM, [part(what, found, (POINTS, np.inf), sampled.n)], control, fault)


def difference(silent: Right, decisive: Right, whole: tuple[bool, bool], sampled: Sampled, seed: int) -> Interval:
    """Accuracy without decisive blocks minus without silent ones: what silent ones cost more.

    Questions and subsets are resampled, each by themselves (the pigeonhole bootstrap, Owen 2007, which errs on the
    wide side). Subsets are resampled only where they are not the `whole` of what there is.
    """
    rng = generator(RandomStream.SUBSETS_RESAMPLED, seed)
    resamples = sampled.resamples
    sizes = resamples.counts @ np.bincount(resamples.index, minlength=sampled.groups)
    means = []
    for right, all_of_them in zip((decisive, silent), whole, strict=True):
        sums = np.stack([np.bincount(resamples.index, row, sampled.groups) for row in right])
        draws = len(right)
        weights = np.full((len(sizes), draws), 1 / draws)
        if not all_of_them:
            weights = rng.multinomial(draws, weights[0], size=len(sizes)) / draws
        means.append(((resamples.counts @ sums.T) * weights).sum(1) / sizes)
    return sampled.interval(float(decisive.mean() - silent.mean()), means[0] - means[1])


def permuted(silent: Right, decisive: Right, seed: int) -> float:
    """The one-sided p-value of that difference when the subsets' phases are exchanged.

    They are exchanged in all ways where there are at most `PERMUTATIONS`, otherwise at random. The observed order
    counts as one of them.
    """
    means = np.concatenate([decisive.mean(1), silent.mean(1)])
    n, both = len(decisive), len(means)
    every = _ways(decisive, silent) <= PERMUTATIONS
    if every:
        first = np.array(list(combinations(range(both), n)))
    else:
        first = generator(RandomStream.PERMUTED_PHASES, seed).random((PERMUTATIONS, both)).argsort(1)[:, :n]
    sums = means[first].sum(1)
    found = sums / n - (means.sum() - sums) / (both - n)
    as_large = int((found >= means[:n].mean() - means[n:].mean() - 1e-12).sum())
    return as_large / len(first) if every else (as_large + 1) / (PERMUTATIONS + 1)


def _ways(decisive: Right, silent: Right) -> int:
    """In how many ways the phases of so many subsets can be exchanged."""
    return comb(len(decisive) + len(silent), len(decisive))


def _mean_and_range(right: Right) -> str:
    return f"{right.mean():.2f} ({right.mean(1).min():.2f} to {right.mean(1).max():.2f})"
