"""Accuracy by summed log-likelihoods, as benchmarks report it, and a paired comparison of two models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from layercliff.metrics.collapse import mcnemar
from layercliff.metrics.intervals import difference_interval, share_curve
from layercliff.metrics.statistics import Resamples, clustered_stderr, stderr

METRICS = {"acc": None, "acc_norm": "characters", "acc_bytes": "bytes", "acc_tokens": "tokens"}
"""What a sum is divided by, per metric. The first three are lm-evaluation-harness's."""

OptionSums = Float[np.ndarray, "question option"]
RightAnswers = Float[np.ndarray, " question"]


@dataclass(frozen=True)
class AccuracyEstimate:
    """A share of right answers.

    Attributes:
        value: Share in [0, 1].
        stderr: Standard deviation over the root of n, as in lm-evaluation-harness. nan for one question.
        stderr_clustered: Allows for dependent questions within groups. nan for one group.
        low: Lower end of the 95 % interval (`share_curve`).
        high: Upper end.
    """

    value: float
    stderr: float
    stderr_clustered: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedComparison:
    """Two models on the same questions.

    Attributes:
        n: Number of questions.
        difference: This model's share of right answers minus the other's, in [-1, 1].
        low: Lower end of its 95 % interval (`difference_interval`).
        high: Upper end.
        won: Questions that only this model gets right.
        lost: Questions that only the other gets right.
        p: Two-sided p-value for equal accuracy.
        test: Where it is from: exact McNemar if questions are independent, else the bootstrap over groups.
    """

    n: int
    difference: float
    low: float
    high: float
    won: int
    lost: int
    p: float
    test: str


def right(sums: OptionSums, sizes: OptionSums | None, gold: Int[np.ndarray, " question"]) -> RightAnswers:
    """Say which questions are answered right.

    Args:
        sums: [question option] Log-likelihoods in nats. nan where an option is absent.
        sizes: [question option] What they are divided by, such as bytes. None divides by nothing.
        gold: [question] Index of the right option.

    Returns:
        [question] 1 where the gold option has the highest value, else 0. Of tied options the first counts, as in
        lm-evaluation-harness.
    """
    values = sums if sizes is None else sums / sizes
    found: RightAnswers = (np.where(np.isnan(values), -np.inf, values).argmax(1) == gold).astype(np.float64)
    return found


def scores(correct: Mapping[str, RightAnswers], groups: Sequence[str], seed: int) -> dict[str, AccuracyEstimate]:
    """Estimate the share of right answers by each metric, all on the same resamples.

    Args:
        correct: [question] 1 or 0, by metric.
        groups: [question] Questions of one group are resampled together.
        seed: Decides the resamples.

    Returns:
        An estimate by metric.
    """
    resamples = Resamples.draw(groups, seed=seed)
    found = share_curve(np.stack(list(correct.values())), resamples)
    return {
        name: AccuracyEstimate(
            float(values.mean()),
            stderr(values),
            clustered_stderr(values, resamples.index),
            float(found.low[at]),
            float(found.high[at]),
        )
        for at, (name, values) in enumerate(correct.items())
    }


def paired(here: RightAnswers, there: RightAnswers, groups: Sequence[str], seed: int) -> PairedComparison:
    """Compare two models' right answers to the same questions.

    Args:
        here: [question] 1 or 0 of this model.
        there: [question] 1 or 0 of the other.
        groups: [question] Questions of one group are resampled together.
        seed: Decides the resamples.

    Returns:
        The difference with its interval and p-value.
    """
    resamples = Resamples.draw(groups, seed=seed)
    samples = resamples.means(np.stack([here, there]))
    differences = samples[:, 0] - samples[:, 1]
    low, high = difference_interval(here - there, resamples)
    return PairedComparison(
        n=len(here),
        difference=float(here.mean() - there.mean()),
        low=low,
        high=high,
        won=int((here > there).sum()),
        lost=int((here < there).sum()),
        p=mcnemar(there, here) if resamples.independent else _two_sided(differences),
        test="exact McNemar" if resamples.independent else "bootstrap over groups",
    )


def _two_sided(differences: Float[np.ndarray, " resample"]) -> float:
    """Twice the smaller share of resamples on either side of 0 (Davison and Hinkley 1997, 4.2).

    One more resample is counted on each side, so that it is never 0.
    """
    tail = min((differences <= 0).sum(), (differences >= 0).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(differences) + 1)))
