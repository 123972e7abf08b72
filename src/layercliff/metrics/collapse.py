"""The collapse point of a path, paired losses, and non-inferiority."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import brentq
from scipy.stats import binomtest

from layercliff.metrics.decision import stays_from
from layercliff.metrics.intervals import bca, score_upper, share_curve
from layercliff.metrics.statistics import LEVEL, Resamples, percentile_interval, whole_number

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
        crossing: The first crossing. None where no k* is defined.
        retained: What is retained along the path. None as before, or of a path without steps.
    """

    defined: bool
    step: int | None
    low: float
    high: float
    censored_share: float
    crossing: "Crossing | None" = None
    retained: "Retained | None" = None

    @property
    def revived(self) -> bool:
        """Whether accuracy falls below the line, comes back and, on this path, falls again or not."""
        return self.crossing is not None and self.crossing.step is not None and self.crossing.step != self.step


@dataclass(frozen=True)
class Crossing:
    """The first step at which accuracy above chance is below half the dense model's, whatever comes after it.

    Attributes:
        step: Counted from 0 (dense). None where there is none on the path.
        low: Lower end of its 95 % interval. Infinite where resamples have none.
        high: Upper end.
    """

    step: int | None
    low: float
    high: float


@dataclass(frozen=True)
class Retained:
    """Accuracy above chance along the path, as a share of the dense model's, in the mean over removed blocks.

    Attributes:
        mean: The area under that share over removed blocks, divided by `blocks`. It may exceed 1.
        low: Lower end of its 95 % interval.
        high: Upper end.
        blocks: Blocks removed at the path's end.
    """

    mean: float
    low: float
    high: float
    blocks: int

    def area(self, n_layers: int) -> tuple[float, float, float]:
        """The area in shares of the dense model's blocks, to compare with k*/L.

        Args:
            n_layers: L of the dense model.

        Returns:
            The area, and the ends of its interval.
        """
        mean, low, high = (end * self.blocks / n_layers for end in (self.mean, self.low, self.high))
        return mean, low, high


def collapse_steps(accuracy: Accuracy, chance: float) -> Float[np.ndarray, "*rest"]:
    """Find k* of accuracy curves.

    Args:
        accuracy: [*rest step] Shares of right answers over steps 0 (dense), 1, ...
        chance: Share that is right by chance.

    Returns:
        [*rest] Steps. Infinite where censored, or where the dense model is not above chance.
    """
    fallen = _fallen(accuracy, chance)
    return np.where(fallen[-1], stays_from(fallen), np.inf)


def first_crossings(accuracy: Accuracy, chance: float) -> Float[np.ndarray, "*rest"]:
    """The first step that is below the line of k*.

    Args:
        accuracy: [... step] Accuracy at steps 0 (dense), 1, ...
        chance: Share that is right by chance.

    Returns:
        A step. Infinite where there is none.
    """
    fallen = _fallen(accuracy, chance)
    return np.where(fallen.any(0), fallen.argmax(0), np.inf)


def _fallen(accuracy: Accuracy, chance: float) -> Bool[np.ndarray, "step *rest"]:
    """Where accuracy above chance is below half of the dense model's, which is above chance."""
    above = np.moveaxis(accuracy - chance, -1, 0)
    return np.asarray((above < HALF * above[0]) & (above[0] > 0))


def retained_means(
    accuracy: Accuracy, chance: float, removed: Float[np.ndarray, " step"]
) -> Float[np.ndarray, "*rest"]:
    """The mean over removed blocks of accuracy above chance over that of step 0, steps joined by straight lines.

    Args:
        accuracy: [... step] Accuracy at steps 0 (dense), 1, ...
        chance: Share that is right by chance.
        removed: [step] Blocks that each step is without.

    Returns:
        A share, which may exceed 1. 0 where step 0 is not above chance.
    """
    above = accuracy - chance
    area = np.trapezoid(above, removed, axis=-1) / (removed[-1] - removed[0])
    return np.asarray(np.divide(area, above[..., 0], out=np.zeros_like(area), where=above[..., 0] > 0))


def collapse(
    correct: Float[np.ndarray, "step question"],
    resamples: Resamples,
    chance: float,
    removed: Sequence[int] | None = None,
) -> Collapse:
    """Find the collapse point of a path, with its interval; beside it the first crossing and what is retained.

    Args:
        correct: [step question] 1, 0, or the share of a tie. Step 0 is the dense model.
        resamples: Resamples of these questions.
        chance: Share that is right by chance.
        removed: [step] Blocks that each step is without. Default: a block per step.

    Returns:
        k* and its interval. It is not defined where the dense model is not above chance.
    """
    if share_curve(correct[:1], resamples).low[0] <= chance:
        return Collapse(False, None, np.inf, np.inf, 1.0)
    accuracy, samples = correct.mean(1), resamples.means(correct)
    steps = collapse_steps(samples, chance)
    gone = np.arange(len(correct)) if removed is None else np.asarray(removed)
    return Collapse(
        True,
        *whole_number(collapse_steps(accuracy, chance), steps),
        float(np.isinf(steps).mean()),
        Crossing(*whole_number(first_crossings(accuracy, chance), first_crossings(samples, chance))),
        _retained(accuracy, samples, chance, gone.astype(np.float64)) if len(correct) > 1 else None,
    )


def _retained(
    accuracy: Float[np.ndarray, " step"],
    samples: Float[np.ndarray, "resample step"],
    chance: float,
    removed: Float[np.ndarray, " step"],
) -> Retained:
    low, high = percentile_interval(retained_means(samples, chance, removed))
    point = float(retained_means(accuracy, chance, removed))
    return Retained(point, float(low), float(high), int(removed[-1]))


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
    - `level`. The upper bound is that of `difference_interval`.

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
    losses = correct[0] - correct[1:]
    _, resampled = bca(losses.mean(1), resamples.means(losses), resamples.groups, 1 - level)
    going = True
    for difference, upper_end in zip(losses, resampled, strict=True):
        loss = float(difference.mean())
        bound = partial(_loss_bound, difference, resamples, float(upper_end), level)
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
