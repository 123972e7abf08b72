"""Forecasts of the collapse point: features of the dense model, a rule, and its errors where it was not fitted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from layercliff.metrics import ridge
from layercliff.metrics.association import LEAST_CLUSTERS, SHOWN
from layercliff.metrics.perplexity import Estimate
from layercliff.metrics.ridge import FeatureRows, Ridge, Target
from layercliff.metrics.statistics import clustered_interval

LEVEL = 0.9  # of intervals around a forecast

FEATURES: Mapping[str, str] = {
    "transition": "T/L; an undecided model counts as if it decided one block after its last",
    "strength": "accuracy above chance at the last depth, over what there is above chance; 0 where there is nothing "
    "above it",
    "influence": "effective share of blocks, by Block Influence: 1 where all have as much, 1/L where one has it all",
    "removal": "share of blocks, the cheapest first, until the margins lost by removing each alone add up to half of "
    "the margin",
    "gates": "effective share of blocks, by what closing each one's gate costs the gold option's log-probability, to "
    "first order",
}
"""What a rule is given, each a number about between 0 and 1."""

BASELINES: Mapping[str, tuple[str, ...]] = {
    "a fixed ratio": (),
    "Block Influence alone": ("influence",),
    "the transition depth alone": ("transition",),
}
"""What a rule has to beat, by the features it is given. The fixed ratio is the training rows' mean."""


def share_below(costs: Float[np.ndarray, " block"], budget: float) -> float:
    """The share of blocks that go, the cheapest first, while the sum of their costs stays below a budget.

    Args:
        costs: [block] A negative cost is none.
        budget: In the unit of `costs`.

    Returns:
        A share of all blocks.
    """
    return float((np.cumsum(np.sort(np.clip(costs, 0, None))) < budget).mean())


def effective_share(weights: Float[np.ndarray, " block"]) -> float:
    """The effective number of blocks over their number (the Hill number of order 1: Hill 1973).

    It is exp of the entropy of the blocks' shares, over the number of blocks.

    Args:
        weights: [block] A negative weight is none.

    Returns:
        A share in (0, 1]. 1 where no block has any weight.
    """
    positive = np.clip(weights, 0, None)
    if not positive.sum():
        return 1.0
    share = positive[positive > 0] / positive.sum()
    return float(np.exp(-(share * np.log(share)).sum()) / len(weights))


def features(
    transition: int | None,
    accuracy: float,
    chance: float,
    margin: float,
    influence: Float[np.ndarray, " block"],
    without: Float[np.ndarray, " block"],
    gates: Float[np.ndarray, " block"],
) -> dict[str, float]:
    """The `FEATURES` of a model on a task.

    Args:
        transition: T, a depth 0..L, or None where undecided.
        accuracy: Share of right answers at the last depth.
        chance: Share that is right by chance.
        margin: Mean Decision Margin at the last depth.
        influence: [block] Block Influence.
        without: [block] Mean Decision Margin at the last depth without the block.
        gates: [block] Derivative of the gold option's log-probability (nats) by the block's gate.

    Returns:
        A number by name, each about between 0 and 1.
    """
    n = len(influence)
    return {
        "transition": (n + 1 if transition is None else transition) / n,
        "strength": (accuracy - chance) / (1 - chance) if chance < 1 else 0.0,
        "influence": effective_share(influence),
        "removal": share_below(margin - without, margin / 2),
        "gates": effective_share(gates),
    }


@dataclass(frozen=True)
class Prediction:
    """A prediction of k*/L, with an interval.

    Attributes:
        ratio: k*/L, in [0, 1].
        low: Lower end of the interval. Infinite where the training table is too small for one.
        high: Upper end.
        distance: Mahalanobis's distance from the training rows.
        farthest: The greatest distance among these.
        outside: Why the model lies outside of what the rule was fitted on, if it does.
    """

    ratio: float
    low: float
    high: float
    distance: float
    farthest: float
    outside: tuple[str, ...]


@dataclass(frozen=True)
class Rule:
    """A ridge regression of k*/L, with its errors on models left out, and where its training rows lie.

    Attributes:
        names: Features, in the order of the arrays.
        ridge: The regression.
        errors: [row] Absolute errors on models left out, in k*/L, sorted.
        low: [feature] Least value among the training rows.
        high: [feature] Greatest value.
        precision: [feature feature] Inverse covariance of the training rows.
        farthest: Greatest Mahalanobis distance of a training row.
    """

    names: tuple[str, ...]
    ridge: Ridge
    errors: Float[np.ndarray, " row"]
    low: Float[np.ndarray, " feature"]
    high: Float[np.ndarray, " feature"]
    precision: Float[np.ndarray, "feature feature"]
    farthest: float

    @staticmethod
    def fitted(x: FeatureRows, y: Target, models: Sequence[str], names: Sequence[str]) -> "Rule":
        """Fit a rule. The penalty is chosen and errors are measured by leaving out whole models.

        Args:
            x: [row feature] Features.
            y: [row] k*/L.
            models: [row] The model of each row.
            names: [feature] Names of the columns.

        Returns:
            The rule.
        """
        penalty = ridge.chosen(x, y, models)
        errors = np.abs(ridge.left_out(x, y, models, penalty) - y)
        spread = np.cov(x, rowvar=False, ddof=0).reshape(x.shape[1], x.shape[1])
        precision = np.linalg.inv(spread + 1e-4 * np.eye(x.shape[1])) if x.shape[1] else spread
        farthest = max((_distance(row - x.mean(0), precision) for row in x), default=0.0)
        errors = np.sort(errors[~np.isnan(errors)])
        return Rule(tuple(names), ridge.fit(x, y, penalty), errors, x.min(0), x.max(0), precision, farthest)

    def predict(self, x: Float[np.ndarray, " feature"]) -> Prediction:
        """Predict k*/L of a model.

        The interval holds with probability `LEVEL` if its error is exchangeable with those of the models left out
        (conformal: Vovk et al. 2005).

        Args:
            x: [feature] The model's features.

        Returns:
            k*/L between 0 and 1.
        """
        ratio = float(np.clip(self.ridge.predict(x[None])[0], 0, 1))
        rank = int(np.ceil(LEVEL * (len(self.errors) + 1)))
        half = float(self.errors[rank - 1]) if rank <= len(self.errors) else np.inf
        low, high = (max(0.0, ratio - half), min(1.0, ratio + half)) if np.isfinite(half) else (-np.inf, np.inf)
        distance = _distance(x - self.ridge.centre, self.precision)
        outside = [
            f"{name} is {value:.2f}, and between {lo:.2f} and {hi:.2f} in the training table"
            for name, value, lo, hi in zip(self.names, x, self.low, self.high, strict=True)
            if not lo - 1e-9 <= value <= hi + 1e-9
        ]
        if distance > self.farthest * (1 + 1e-9) and not outside:
            outside = [
                f"no feature by itself is, but together they lie farther off ({distance:.1f}) than any training row "
                f"({self.farthest:.1f})"
            ]
        return Prediction(ratio, low, high, distance, self.farthest, tuple(outside))


def _distance(difference: Float[np.ndarray, " feature"], precision: Float[np.ndarray, "feature feature"]) -> float:
    return float(np.sqrt(max(0.0, difference @ precision @ difference)))


@dataclass(frozen=True)
class BaselineComparison:
    """A rule beside a baseline, on the same held-out cells.

    Attributes:
        name: One of `BASELINES`.
        error: The baseline's mean absolute error in k*/L.
        difference: What the rule's error is more (negative: less), with its interval over models.
        beaten: True where that lies below 0, False where above. None where neither is shown, or models are too few.
    """

    name: str
    error: float
    difference: Estimate
    beaten: bool | None


@dataclass(frozen=True)
class Judgement:
    """What a rule is worth on cells of a model or task that took no part in its fit.

    Attributes:
        left_out: ``model`` or ``task``.
        n: Number of cells.
        groups: Number of models or tasks.
        error: Mean absolute error in k*/L.
        covered: Share of cells inside their intervals. None where there were no intervals.
        predicted: [row] k*/L of every cell.
        low: [row] Lower end of its interval. Infinite for none.
        high: [row] Upper end.
        against: The rule beside each baseline.
    """

    left_out: str
    n: int
    groups: int
    error: float
    covered: float | None
    predicted: Target
    low: Target
    high: Target
    against: tuple[BaselineComparison, ...]


def judge(x: FeatureRows, y: Target, models: Sequence[str], left_out: str, groups: Sequence[str]) -> Judgement:
    """Fit to all groups but one and forecast that one, in turn. Whatever is chosen is chosen anew each time.

    Args:
        x: [row feature] Columns are `FEATURES`.
        y: [row] k*/L.
        models: [row] Clusters of the intervals (t: `clustered_interval`).
        left_out: What the groups are: ``model`` or ``task``.
        groups: [row] At least two different ones.

    Returns:
        The errors, also of the baselines.
    """
    names = list(FEATURES)
    out = np.asarray(groups)
    predictors = {"rule": tuple(names)} | dict(BASELINES)
    predicted = {name: np.full(len(y), np.nan) for name in predictors}
    low, high = np.full(len(y), -np.inf), np.full(len(y), np.inf)
    for group in sorted(set(groups)):
        held = out == group
        kept = [model for model, gone in zip(models, held, strict=True) if not gone]
        for name, used in predictors.items():
            columns = [names.index(feature) for feature in used]
            rule = Rule.fitted(x[~held][:, columns], y[~held], kept, used)
            found = [rule.predict(row) for row in x[held][:, columns]]
            predicted[name][held] = [one.ratio for one in found]
            if name == "rule":
                low[held], high[held] = [one.low for one in found], [one.high for one in found]
    errors = {name: np.abs(values - y) for name, values in predicted.items()}
    against = tuple(_compared(name, errors["rule"], errors[name], models) for name in BASELINES)
    inside = ((low <= y) & (y <= high))[np.isfinite(high)]
    return Judgement(
        left_out, len(y), len(set(groups)), float(errors["rule"].mean()), float(inside.mean()) if len(inside) else None,
        predicted["rule"], low, high, against,
    )  # fmt: skip


def _compared(name: str, own: Target, other: Target, models: Sequence[str]) -> BaselineComparison:
    paired = np.round(own - other, 9)  # rounding is no difference
    difference = float(paired.mean())
    if len(set(models)) < LEAST_CLUSTERS:
        return BaselineComparison(name, float(other.mean()), Estimate(difference, np.nan, np.nan), None)
    low, high = clustered_interval(paired, models)
    beaten = None if len(set(models)) < SHOWN else True if high < 0 else False if low > 0 else None
    return BaselineComparison(name, float(other.mean()), Estimate(difference, low, high), beaten)
