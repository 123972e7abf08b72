"""Where a path of pruned models falls off: the collapse point, paired losses, and how much pruning is shown to be harmless."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.stats import binomtest, norm

from layercliff.metrics.decision import stays_from
from layercliff.metrics.statistics import LEVEL, Resamples, percentile_interval

Accuracy = Float[np.ndarray, "*rest step"]
HALF = 0.5  # of the dense model's above-chance accuracy


@dataclass(frozen=True)
class Collapse:
    """The collapse point k*: the first step from which, to the end of the path, the above-chance accuracy is below half the dense
    model's. `step` is None where that does not happen on the computed path (censored), or where `defined` is False: the dense
    model's interval does not lie above chance, so that there is nothing to lose. Ends of the interval are infinite where resamples are censored."""

    defined: bool
    step: int | None
    low: float
    high: float
    censored_share: float


def collapse_steps(accuracy: Accuracy, chance: float) -> Float[np.ndarray, "*rest"]:
    """k* of accuracy curves over steps 0 (dense), 1, ...; infinite where censored."""
    above = np.moveaxis(accuracy - chance, -1, 0)
    fallen = above < HALF * above[0]
    return np.where(fallen[-1], stays_from(fallen), np.inf)


def collapse(correct: Float[np.ndarray, "step question"], resamples: Resamples, chance: float) -> Collapse:
    """The collapse point of a path with the interval of its resamples."""
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
    """Exact two-sided McNemar p-value of two models' right answers on the same independent questions (ties count as wrong)."""
    won = int(((after == 1) & (before < 1)).sum())
    lost = int(((before == 1) & (after < 1)).sum())
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def tango_upper(lost: int, won: int, n: int, level: float = LEVEL) -> float:
    """Upper end of the one-sided score interval (Tango 1998) for the loss (lost - won) / n of paired proportions."""
    z = norm.ppf(level)

    def statistic(delta: float) -> float:
        """Score test of a true loss `delta`, the nuisance discordance at its restricted maximum likelihood."""
        a, b, c = 2 * n, delta * (2 * n - lost + won) - lost - won, -won * delta * (1 - delta)
        q = (np.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
        variance = n * (2 * q + delta * (1 - delta))
        return float((lost - won - n * delta) / np.sqrt(max(variance, 1e-300)))

    edge = 1 - 1e-9
    if statistic(edge) > -z:
        return 1.0
    return float(brentq(lambda delta: statistic(delta) + z, (lost - won) / n, edge))


def questions_needed(loss: float, discordant: float, margin: float, level: float = LEVEL) -> int | None:
    """About how many questions would show a loss below `margin` at `level`, were the observed loss and share of discordant pairs the
    true ones; None where the observed loss is not below it."""
    if loss >= margin:
        return None
    spread = max(discordant - loss * loss, 1e-6)
    return int(np.ceil(spread * (norm.ppf(level) / (margin - loss)) ** 2))


@dataclass(frozen=True)
class Harmless:
    """The loss of accuracy of one step against the dense model, and whether it is shown to be below the margin."""

    loss: float
    upper: float
    shown: bool
    questions_needed: int | None


def harmless(
    correct: Float[np.ndarray, "step question"],
    resamples: Resamples,
    independent: bool,
    margin: float,
    level: float = LEVEL,
) -> list[Harmless]:
    """Non-inferiority of each step 1.. to step 0: fixed sequence, so that a step counts as shown only if all before it do and the
    family-wise error stays at 1 - `level`. The upper bound is the score interval for independent questions whose answers are right or
    wrong, the group bootstrap's otherwise."""
    found: list[Harmless] = []
    whole = bool(np.isin(correct, (0.0, 1.0)).all())
    samples = resamples.means(correct)
    going = True
    for step in range(1, len(correct)):
        difference = correct[0] - correct[step]
        loss = float(difference.mean())
        if independent and whole:
            upper = tango_upper(int((difference > 0).sum()), int((difference < 0).sum()), correct.shape[1], level)
        else:
            upper = float(np.quantile(samples[:, 0] - samples[:, step], level))
        going = going and upper < margin
        needed = questions_needed(loss, float((difference**2).mean()), margin, level)
        found.append(Harmless(loss, upper, going, needed))
    return found


def recommended(steps: list[Harmless], margin: float) -> int:
    """The last step shown to be harmless; where none is, the last before the estimated loss first reaches the margin (0: none)."""
    shown = [k for k, step in enumerate(steps, 1) if step.shown]
    if shown:
        return shown[-1]
    reached = [k for k, step in enumerate(steps, 1) if step.loss >= margin]
    return (reached[0] if reached else len(steps) + 1) - 1
