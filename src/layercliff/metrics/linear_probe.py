"""Linear probes (Alain and Bengio 2016): is the right option to be read off the states of a depth by some direction,
whatever the model does with it?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize

from layercliff.choices import Format
from layercliff.errors import TaskError
from layercliff.metrics import controls
from layercliff.random_streams import RandomStream, generator
from layercliff.tasks.question import Question

RIDGES = (1.0, 1e-1, 1e-2, 1e-3)
"""Penalties, the strongest first. Features are standardised and divided by the root of their number, so that a state's
squared norm is 1 on average."""

FOLDS = 5

ProbedStates = Float[np.ndarray, "question _ d"]
"""A state per question, from which each option has a direction of its own (*letter*), or one per option, from which one
direction scores all."""

Mask = Bool[np.ndarray, "question option"]
Gold = Int[np.ndarray, " question"]
OptionScores = Float[np.ndarray, "question option"]


def shuffled(questions: Sequence[Question], form: Format, seed: int) -> Gold:
    """Exchanged gold options: the control task of Hewitt and Liang (2019), in which there is nothing to be known, so
    that a probe that finds something has been fitted to its own questions."""
    return controls.exchanged_gold(questions, form, generator(RandomStream.LINEAR_PROBE, seed, 0))


def exchanged(scores: OptionScores, gold: Gold, other: Gold) -> OptionScores:
    """Scores in which the gold option and another have changed places."""
    found, rows = scores.copy(), np.arange(len(gold))
    found[rows, gold], found[rows, other] = scores[rows, other], scores[rows, gold]
    return found


def folds(groups: Sequence[str], seed: int) -> Int[np.ndarray, " question"]:
    """The fold of each question; groups stay whole. Raises `TaskError` for fewer than three groups."""
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 3:
        raise TaskError(
            f"A probe cannot be cross-validated on {len(names)} groups of questions: ask at least 3, and far more "
            "for it to find anything."
        )
    order = generator(RandomStream.LINEAR_PROBE, seed, 1).permutation(len(names))
    return np.asarray((order % min(FOLDS, len(names)))[index])


def cross_validated(states: ProbedStates, mask: Mask, gold: Gold, fold: Int[np.ndarray, " question"]) -> OptionScores:
    """The score of every option by a probe that was fitted without the question's fold: softmax over a question's
    options, maximum likelihood with a ridge penalty. The penalty is the one that does best on the next fold for a probe
    fitted without either; absent options are nan."""
    scores = np.full(mask.shape, np.nan, np.float32)
    n_folds = int(fold.max()) + 1
    for number in range(n_folds):
        test, choosing = fold == number, fold == (number + 1) % n_folds
        tried = _ProbeFit.path(states, mask, gold, ~test & ~choosing)
        losses = [_loss(fit.scores(states[choosing]), mask[choosing], gold[choosing]) for fit in tried]
        best = int(np.argmin(losses))
        fit = _ProbeFit.path(states, mask, gold, ~test, RIDGES[: best + 1])[-1]
        scores[test] = np.where(mask[test], fit.scores(states[test]), np.nan)
    return scores


@dataclass(frozen=True)
class _ProbeFit:
    """Standardised features times `weights`, with a constant as the last feature."""

    mean: Float[np.ndarray, " d"]
    spread: Float[np.ndarray, " d"]
    weights: Float[np.ndarray, "e direction"]

    @staticmethod
    def path(
        states: ProbedStates,
        mask: Mask,
        gold: Gold,
        use: Bool[np.ndarray, " question"],
        ridges: Sequence[float] = RIDGES,
    ) -> "list[_ProbeFit]":
        """A fit to some questions per penalty, each begun where the last one ended."""
        present = states[use][mask[use]] if states.shape[1] > 1 else states[use, 0]
        mean, spread = present.mean(0, dtype=np.float64), present.std(0, dtype=np.float64) * np.sqrt(states.shape[2])
        spread[spread == 0] = 1.0
        start = _ProbeFit(mean, spread, np.zeros((states.shape[2] + 1, mask.shape[1] // states.shape[1])))
        features = start._features(states[use])
        flat = features.reshape(-1, features.shape[2])
        found: list[_ProbeFit] = []
        for ridge in ridges:

            def objective(weights: np.ndarray, ridge: float = ridge) -> tuple[float, np.ndarray]:
                matrix = weights.reshape(start.weights.shape)
                loss, residual = _with_gradient((flat @ matrix).reshape(mask[use].shape), mask[use], gold[use])
                slope = flat.T @ residual.reshape(len(flat), -1) + ridge * matrix
                return loss + ridge / 2 * float(weights @ weights), slope.ravel()

            begin = (found[-1] if found else start).weights.ravel()
            best = minimize(objective, begin, jac=True, method="L-BFGS-B", options={"maxiter": 200, "gtol": 1e-5})
            found.append(_ProbeFit(mean, spread, best.x.reshape(start.weights.shape)))
        return found

    def _features(self, states: ProbedStates) -> Float[np.ndarray, "question _ e"]:
        scaled = (states - self.mean) / self.spread
        return np.concatenate([scaled, np.ones((*scaled.shape[:2], 1))], 2)

    def scores(self, states: ProbedStates) -> OptionScores:
        """Of every option, absent ones too."""
        found: OptionScores = (self._features(states) @ self.weights).reshape(len(states), -1)
        return found


def _with_gradient(scores: OptionScores, mask: Mask, gold: Gold) -> tuple[float, OptionScores]:
    """The mean negative log-probability of the gold option, and its gradient by the scores."""
    wide = np.where(mask, scores, -np.inf)
    wide = wide - wide.max(1, keepdims=True)
    probability = np.exp(wide)
    total = probability.sum(1, keepdims=True)
    rows = np.arange(len(gold))
    loss = float((np.log(total[:, 0]) - wide[rows, gold]).mean())
    probability /= total
    probability[rows, gold] -= 1
    return loss, probability / len(gold)


def _loss(scores: OptionScores, mask: Mask, gold: Gold) -> float:
    return _with_gradient(scores, mask, gold)[0]
