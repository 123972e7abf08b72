"""Ridge regression on standardised features, with the penalty chosen by leaving out whole groups."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

PENALTIES = (0.01, 0.1, 1.0, 10.0, np.inf)
"""Penalties, in units of a feature's variance. The infinite one predicts the mean."""

FeatureRows = Float[np.ndarray, "row feature"]
Target = Float[np.ndarray, " row"]


@dataclass(frozen=True)
class Ridge:
    """``mean + sum over f of coefficients[f] (x[f] - centre[f]) / scale[f]`` (Hoerl and Kennard 1970).

    Attributes:
        penalty: In units of a feature's variance.
        mean: Mean of what is predicted.
        centre: [feature] Mean of each feature.
        scale: [feature] Standard deviation of each feature. 1 where it does not vary.
        coefficients: [feature] Weights of the standardised features.
    """

    penalty: float
    mean: float
    centre: Float[np.ndarray, " feature"]
    scale: Float[np.ndarray, " feature"]
    coefficients: Float[np.ndarray, " feature"]

    def predict(self, x: FeatureRows) -> Target:
        """Predict every row.

        Args:
            x: [row feature] Features.

        Returns:
            [row] Predictions.
        """
        out: np.ndarray = self.mean + ((x - self.centre) / self.scale) @ self.coefficients
        return out


def fit(x: FeatureRows, y: Target, penalty: float) -> Ridge:
    """Minimise the mean squared error plus a penalty on the squared coefficients of standardised features.

    Features that do not vary get no weight.

    Args:
        x: [row feature] Features.
        y: [row] What is predicted.
        penalty: In units of a feature's variance. The infinite one predicts the mean.

    Returns:
        The regression.
    """
    centre, spread = x.mean(0), x.std(0)
    scale = np.where(spread > 1e-12, spread, 1.0)
    z = (x - centre) / scale
    if np.isinf(penalty):
        coefficients = np.zeros(x.shape[1])
    else:
        coefficients = np.linalg.solve(z.T @ z / len(y) + penalty * np.eye(x.shape[1]), z.T @ (y - y.mean()) / len(y))
    return Ridge(penalty, float(y.mean()), centre, scale, coefficients)


def left_out(x: FeatureRows, y: Target, groups: Sequence[str], penalty: float) -> Target:
    """Predict every row by the fit to the other groups.

    Args:
        x: [row feature] Features.
        y: [row] What is predicted.
        groups: [row] Which rows are left out together.
        penalty: In units of a feature's variance.

    Returns:
        [row] Predictions. nan where there is no other group.
    """
    names = np.asarray(groups)
    found = np.full(len(y), np.nan)
    for name in set(groups):
        out = names == name
        if not out.all():
            found[out] = fit(x[~out], y[~out], penalty).predict(x[out])
    return found


def chosen(x: FeatureRows, y: Target, groups: Sequence[str]) -> float:
    """Choose the penalty with the least squared error in left-out groups, the greatest of equal ones.

    Args:
        x: [row feature] Features.
        y: [row] What is predicted.
        groups: [row] Which rows are left out together.

    Returns:
        One of `PENALTIES`. Infinite where there is only one group.
    """
    if len(set(groups)) < 2 or not x.shape[1]:
        return np.inf
    errors = [float(((left_out(x, y, groups, penalty) - y) ** 2).mean()) for penalty in PENALTIES]
    return max(
        penalty for penalty, error in zip(PENALTIES, errors, strict=True) if error <= min(errors) * (1 + 1e-9) + 1e-15
    )
