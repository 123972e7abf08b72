"""Linear probes (Alain and Bengio 2016): can a direction in the states of a depth tell the right option?"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize

from layercliff.choices import Format
from layercliff.errors import TaskError
from layercliff.metrics.decision import Gold, Mask
from layercliff.metrics.shuffled_gold import GoldExchange
from layercliff.random_streams import RandomStream, generator
from layercliff.tasks.question import Question

RIDGES = (1.0, 1e-1, 1e-2, 1e-3)
"""Penalties, strongest first.

Features are standardised and divided by the root of their number: a state's squared norm is 1 on average.
"""

FOLDS = 5

ProbedStates = Float[np.ndarray, "question _ d"]
"""One state per question, with a direction per option (*letter*); or one per option, with a single direction."""

ProbeScores = Float[np.ndarray, "question option"]


def shuffled(questions: Sequence[Question], form: Format, seed: int) -> Gold:
    """Exchange golds: the control task of Hewitt and Liang (2019).

    There is nothing to be known. A probe that finds something has been fitted to its own questions.

    Args:
        questions: Questions of one task.
        form: The task's format.
        seed: Decides the exchange.

    Returns:
        [question] Indices of options.
    """
    return GoldExchange(questions, form).draw(generator(RandomStream.LINEAR_PROBE, seed, 0))


def exchanged(scores: ProbeScores, gold: Gold, other: Gold) -> ProbeScores:
    """Swap the scores of the gold option and of another.

    Args:
        scores: [question option] Any scores.
        gold: [question] Index of the right option.
        other: [question] Index of the option it is swapped with.

    Returns:
        [question option] A copy.
    """
    found, rows = scores.copy(), np.arange(len(gold))
    found[rows, gold], found[rows, other] = scores[rows, other], scores[rows, gold]
    return found


def folds(groups: Sequence[str], seed: int) -> Int[np.ndarray, " question"]:
    """Split questions into folds; groups stay whole.

    Args:
        groups: [question] Which questions belong together.
        seed: Decides the split.

    Returns:
        [question] Number of the fold, from 0.

    Raises:
        TaskError: For fewer than three groups.
    """
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 3:
        raise TaskError(
            f"A probe cannot be cross-validated on {len(names)} groups of questions: ask at least 3, and far more "
            "for it to find anything."
        )
    order = generator(RandomStream.LINEAR_PROBE, seed, 1).permutation(len(names))
    return np.asarray((order % min(FOLDS, len(names)))[index])


def cross_validated(states: ProbedStates, mask: Mask, gold: Gold, fold: Int[np.ndarray, " question"]) -> ProbeScores:
    """Score every option by a probe that was fitted without the question's fold.

    The probe is a softmax over a question's options, by maximum likelihood with a ridge penalty. The penalty does
    best on the next fold, for a probe fitted without either.

    Args:
        states: [question option d] One state per option; in *letter* [question 1 d], one per question.
        mask: [question option] Which options there are.
        gold: [question] Index of the right option.
        fold: [question] Number of the fold, from 0.

    Returns:
        [question option] Scores in nats. nan for absent options.
    """
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
        """Fit some questions at each penalty, starting where the last fit ended."""
        present = states[use][mask[use]] if states.shape[1] > 1 else states[use, 0]
        mean, spread = present.mean(0, dtype=np.float64), present.std(0, dtype=np.float64) * np.sqrt(states.shape[2])
        spread[spread == 0] = 1.0
        start = _ProbeFit(mean, spread, np.zeros((states.shape[2] + 1, mask.shape[1] // states.shape[1])))
        features = start._features(states[use])
        flat = features.reshape(-1, features.shape[2])
        found: list[_ProbeFit] = []
        for ridge in ridges:
            objective = partial(_penalised, features=flat, mask=mask[use], gold=gold[use], ridge=ridge)
            begin = (found[-1] if found else start).weights.ravel()
            best = minimize(objective, begin, jac=True, method="L-BFGS-B", options={"maxiter": 200, "gtol": 1e-5})
            found.append(_ProbeFit(mean, spread, best.x.reshape(start.weights.shape)))
        return found

    def _features(self, states: ProbedStates) -> Float[np.ndarray, "question _ e"]:
        scaled = (states - self.mean) / self.spread
        return np.concatenate([scaled, np.ones((*scaled.shape[:2], 1))], 2)

    def scores(self, states: ProbedStates) -> ProbeScores:
        """The score of every option, absent ones included."""
        found: ProbeScores = (self._features(states) @ self.weights).reshape(len(states), -1)
        return found


def _penalised(
    weights: Float[np.ndarray, " weight"], features: Float[np.ndarray, "row e"], mask: Mask, gold: Gold, ridge: float
) -> tuple[float, Float[np.ndarray, " weight"]]:
    """The loss with its ridge penalty, and its gradient by the weights."""
    matrix = weights.reshape(features.shape[1], -1)
    loss, residual = _with_gradient((features @ matrix).reshape(mask.shape), mask, gold)
    slope = features.T @ residual.reshape(len(features), -1) + ridge * matrix
    return loss + ridge / 2 * float(weights @ weights), slope.ravel()


def _with_gradient(scores: ProbeScores, mask: Mask, gold: Gold) -> tuple[float, ProbeScores]:
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


def _loss(scores: ProbeScores, mask: Mask, gold: Gold) -> float:
    return _with_gradient(scores, mask, gold)[0]
