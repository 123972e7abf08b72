"""Accuracy by summed log-likelihoods, as benchmarks report it, and two models compared on the same questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from layercliff.metrics.collapse import mcnemar
from layercliff.metrics.statistics import Resamples, clustered_stderr, percentile_interval, stderr

METRICS = {"acc": None, "acc_norm": "characters", "acc_bytes": "bytes", "acc_tokens": "tokens"}
"""What a sum is divided by before options are compared, per metric; the first three are lm-evaluation-harness's."""

OptionSums = Float[np.ndarray, "question option"]
RightAnswers = Float[np.ndarray, " question"]


@dataclass(frozen=True)
class AccuracyEstimate:
    """A share of right answers. `stderr` is the sample standard deviation over the root of n, as lm-evaluation-harness
    gives it (nan for one question), `stderr_clustered` the standard error where questions of a group are not
    independent (nan for one group); `low` and `high` are the ends of the 95 % interval of a bootstrap over groups of
    questions."""

    value: float
    stderr: float
    stderr_clustered: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedComparison:
    """Two models on the same questions: `difference` is this one's share of right answers minus the other's, with the
    95 % interval of a bootstrap over groups; `won` and `lost` count questions that only this one, or only the other,
    gets right. `p` is two-sided for equal accuracy, by `test`: the exact McNemar test where questions are independent,
    the bootstrap over groups where they are not."""

    n: int
    difference: float
    low: float
    high: float
    won: int
    lost: int
    p: float
    test: str


def right(sums: OptionSums, sizes: OptionSums | None, gold: Int[np.ndarray, " question"]) -> RightAnswers:
    """1 where the gold option has the highest log-likelihood (divided by `sizes`), else 0; of options that tie, the
    first counts, as it does for lm-evaluation-harness. Absent options are nan."""
    values = sums if sizes is None else sums / sizes
    found: RightAnswers = (np.where(np.isnan(values), -np.inf, values).argmax(1) == gold).astype(np.float64)
    return found


def scores(correct: Mapping[str, RightAnswers], groups: Sequence[str], seed: int) -> dict[str, AccuracyEstimate]:
    """The share of right answers by each metric with its uncertainty, all on the same resamples."""
    resamples = Resamples.draw(groups, seed=seed)
    low, high = percentile_interval(resamples.means(np.stack(list(correct.values()))))
    return {
        name: AccuracyEstimate(
            float(values.mean()),
            stderr(values),
            clustered_stderr(values, resamples.index),
            float(low[at]),
            float(high[at]),
        )
        for at, (name, values) in enumerate(correct.items())
    }


def paired(here: RightAnswers, there: RightAnswers, groups: Sequence[str], seed: int) -> PairedComparison:
    """Compare two models' right answers to the same questions."""
    resamples = Resamples.draw(groups, seed=seed)
    samples = resamples.means(np.stack([here, there]))
    differences = samples[:, 0] - samples[:, 1]
    low, high = percentile_interval(differences)
    return PairedComparison(
        n=len(here),
        difference=float(here.mean() - there.mean()),
        low=float(low),
        high=float(high),
        won=int((here > there).sum()),
        lost=int((here < there).sum()),
        p=mcnemar(there, here) if resamples.independent else _two_sided(differences),
        test="exact McNemar" if resamples.independent else "bootstrap over groups",
    )


def _two_sided(differences: Float[np.ndarray, " resample"]) -> float:
    """Twice the smaller share of resamples on either side of 0, each with one more counted, so that it is never 0
    (Davison and Hinkley 1997, 4.2)."""
    tail = min((differences <= 0).sum(), (differences >= 0).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(differences) + 1)))
