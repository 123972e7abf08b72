"""The collapse point of a path, paired losses, and non-inferiority."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.stats import binomtest, norm

from layercliff.metrics.decision import stays_from
from layercliff.metrics.statistics import LEVEL, Resamples, percentile_interval

Accuracy = Float[np.ndarray, "*rest step"]
MOST_TIMES = 1000.0  # as many questions are looked at, at most, to say how many would do
HALF = 0.5  # of the dense model's above-chance accuracy


@dataclass(frozen=True)
class Collapse:
    """The collapse point k*: the first step from which accuracy above chance stays below half the dense model's.

    Attributes:
        defined: Whether the dense model's interval lies above chance. Without that there is no k*.
        step: k*, counted from 0 (dense). None where there is no collapse (censored), or none is defined.
        low: Lower end of its 95 % interval. Infinite where resamples are censored.
        high: Upper end.
        censored_share: Share of resamples without a collapse.
    """

    defined: bool
    step: int | None
    low: float
    high: float
    censored_share: float


def collapse_steps(accuracy: Accuracy, chance: float) -> Float[np.ndarray, "*rest"]:
    """Find k* of accuracy curves.

    Args:
        accuracy: [*rest step] Shares of right answers over steps 0 (dense), 1, ...
        chance: Share that is right by chance.

    Returns:
        [*rest] Steps. Infinite where censored, or where the dense model is not above chance.
    """
    above = np.moveaxis(accuracy - chance, -1, 0)
    fallen = (above < HALF * above[0]) & (above[0] > 0)
    return np.where(fallen[-1], stays_from(fallen), np.inf)


def collapse(correct: Float[np.ndarray, "step question"], resamples: Resamples, chance: float) -> Collapse:
    """Find the collapse point of a path, with its interval.

    Args:
        correct: [step question] 1, 0, or the share of a tie. Step 0 is the dense model.
        resamples: Resamples of these questions.
        chance: Share that is right by chance.

    Returns:
        k* and its interval. It is not defined where the dense model is not above chance.
    """
    samples = resamples.means(correct)
    low, _ = percentile_interval(samples[:, 0])
    if low <= chance:
        return Collapse(False, None, np.inf, np.inf, 1.0)
    point = float(collapse_steps(correct.mean(1), chance))
    steps = collapse_steps(samples, chance)
    ends = percentile_interval(steps)
    return Collapse(
        True, int(point) if np.isfinite(point) else None, float(ends[0]), float(ends[1]), float(np.isinf(steps).mean())
    )


def mcnemar(before: Float[np.ndarray, " question"], after: Float[np.ndarray, " question"]) -> float:
    """McNemar's exact test of two models on the same independent questions. Ties count as wrong.

    Args:
        before: [question] 1 where right, of the first model.
        after: [question] 1 where right, of the second.

    Returns:
        The two-sided p-value.
    """
    won = int(((after == 1) & (before < 1)).sum())
    lost = int(((before == 1) & (after < 1)).sum())
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def tango_upper(lost: int | float, won: int | float, n: int | float, level: float = LEVEL) -> float:
    """The upper bound of a loss of paired proportions, by the score interval (Tango 1998).

    Args:
        lost: Questions that only the first model gets right.
        won: Questions that only the second gets right.
        n: Number of questions.
        level: Confidence, one-sided.

    Returns:
        A bound for the loss (lost - won) / n, at most 1.
    """
    z, edge = norm.ppf(level), 1 - 1e-9
    if _score(edge, lost, won, n) > -z:
        return 1.0
    return float(brentq(lambda delta: _score(delta, lost, won, n) + z, (lost - won) / n, edge))


def score_upper(
    difference: Float[np.ndarray, " question"], resamples: Resamples, level: float = LEVEL, times: float = 1.0
) -> float:
    """The upper bound of a mean paired loss (`tango_upper`).

    Tied options count as shares. For grouped questions, counts are divided by their design effect (Rao and Scott
    1992).

    Args:
        difference: [question] Loss, in [-1, 1].
        resamples: They say which questions belong together.
        level: Confidence, one-sided.
        times: As if so many times as many questions were answered alike.

    Returns:
        A bound, at most 1.
    """
    each = times / design_effect(difference, resamples)
    lost, won = float(difference.clip(0).sum()), float((-difference).clip(0).sum())
    return tango_upper(lost * each, won * each, len(difference) * each, level)


def design_effect(difference: Float[np.ndarray, " question"], resamples: Resamples) -> float:
    """The variance of grouped questions over that of independent ones.

    It is the squared sums of groups over summed squares. One more group of average size is counted as all lost: where
    nothing is lost, nothing is known of the groups, and a group counts as one question.

    Args:
        difference: [question] Loss, in [-1, 1].
        resamples: They say which questions belong together.

    Returns:
        At least 1, which is that of independent questions.
    """
    sizes = np.bincount(resamples.index)
    usual = float((sizes**2).sum() / len(difference))
    together = float((np.bincount(resamples.index, difference) ** 2).sum())
    return max(1.0, (together + usual**2) / (float((difference**2).sum()) + usual))


def _score(delta: float, lost: int | float, won: int | float, n: int | float) -> float:
    """The score statistic for a true loss `delta`, at the restricted maximum likelihood of the nuisance discordance."""
    a, b, c = 2 * n, delta * (2 * n - lost + won) - lost - won, -won * delta * (1 - delta)
    q = (np.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * (2 * q + delta * (1 - delta))
    return float((lost - won - n * delta) / np.sqrt(max(variance, 1e-300)))


def questions_needed(bound: Callable[[float], float], n: int, margin: float) -> int | None:
    """About how many questions would bring a bound below a margin.

    Args:
        bound: ``bound(k)`` is the bound for k times the `n` questions with the same answers.
        n: Number of questions.
        margin: What the bound has to stay below, a share.

    Returns:
        A number of questions, or None where a thousand times as many would not do.
    """
    if bound(MOST_TIMES) >= margin:
        return None
    return (
        int(np.ceil(n * float(brentq(lambda k: bound(k) - margin, 1 / n, MOST_TIMES)))) if bound(1 / n) > margin else 1
    )


@dataclass(frozen=True)
class Harmless:
    """The loss of accuracy of one step against the dense model, and whether it is shown to be small.

    Attributes:
        loss: Share of right answers lost. Negative where the step gains.
        upper: Its upper bound at 95 %, one-sided.
        shown: Whether the bound is below the margin, at this step and all before it.
        questions_needed: About how many questions would show it for these steps, or None.
    """

    loss: float
    upper: float
    shown: bool
    questions_needed: int | None


def harmless(
    correct: Float[np.ndarray, "step question"], resamples: Resamples, margin: float, level: float = LEVEL
) -> list[Harmless]:
    """Test the non-inferiority of each step 1.. to step 0.

    The sequence is fixed: a step counts as shown only if all steps before it do. So the family-wise error stays at 1
    - `level`. The upper bound is that of `score_upper`. For grouped questions it is the bootstrap's if that is
    higher.

    Args:
        correct: [step question] 1, 0, or the share of a tie. Step 0 is the dense model.
        resamples: Resamples of these questions.
        margin: The loss that is tolerated, a share.
        level: Confidence, one-sided.

    Returns:
        One per step, from step 1.
    """
    found: list[Harmless] = []
    needed: list[int | None] = []
    n = correct.shape[1]
    samples = resamples.means(correct)
    going = True
    for step in range(1, len(correct)):
        difference = correct[0] - correct[step]
        loss = float(difference.mean())
        bound = partial(
            _loss_bound, difference, resamples, float(np.quantile(samples[:, 0] - samples[:, step], level)), level
        )
        upper = bound(1.0)
        going = going and upper < margin
        needed.append(questions_needed(bound, n, margin))
        all_known = [number for number in needed if number is not None]
        found.append(Harmless(loss, upper, going, max(all_known) if len(all_known) == len(needed) else None))
    return found


def _loss_bound(
    difference: Float[np.ndarray, " question"], resamples: Resamples, resampled: float, level: float, times: float
) -> float:
    score = score_upper(difference, resamples, level, times)
    return score if resamples.independent else max(score, scaled_bound(float(difference.mean()), resampled, times))


def scaled_bound(loss: float, upper: float, times: float) -> float:
    """Move a bound as more questions would. Its distance to the estimate shrinks with their root.

    Args:
        loss: The estimate.
        upper: Its upper bound.
        times: How many times as many questions.

    Returns:
        The bound with so many.
    """
    return loss + (upper - loss) / float(np.sqrt(times))


def recommended(steps: list[Harmless], margin: float) -> int:
    """The last step shown to be harmless.

    Args:
        steps: Tests of steps 1, 2, ...
        margin: The loss that is tolerated, a share.

    Returns:
        A step. Where none is shown, it is the last before the estimated loss first reaches the margin. 0 for none.
    """
    shown = [k for k, step in enumerate(steps, 1) if step.shown]
    if shown:
        return shown[-1]
    reached = [k for k, step in enumerate(steps, 1) if step.loss >= margin]
    return (reached[0] if reached else len(steps) + 1) - 1
