"""Controls: curves over depth where there is nothing to decide.

A control is one trace, or several draws of one. Its values are the mean over draws, question by question.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from layercliff.metrics import phases
from layercliff.metrics.analysis import chance_of
from layercliff.metrics.chance import constant_answers, right_answer
from layercliff.metrics.effects import decisions
from layercliff.metrics.intervals import mean_curve, share_curve
from layercliff.metrics.phases import Jump, Transition
from layercliff.metrics.shuffled_gold import GoldExchange
from layercliff.metrics.statistics import RESAMPLES, Curve, Resamples
from layercliff.readout.trace import Trace


@dataclass(frozen=True)
class ControlOutcome:
    """Decision Margin and accuracy of a control over depth, averaged over its draws.

    Curves have pointwise 95 % intervals over questions.

    Attributes:
        n_questions: Number of questions.
        chance: Share that is right by chance.
        margin: Mean Decision Margin by depth.
        accuracy: Share of right answers by depth.
        transition: That of the curves.
        jump: That of the curves.
        margins: [draw depth] Mean Decision Margin of each draw.
        accuracies: [draw depth] Share of right answers of each draw.
        decided: Share of draws with a transition depth in all but 2.5 % of resamples, as for a model.
    """

    n_questions: int
    chance: float
    margin: Curve
    accuracy: Curve
    transition: Transition
    jump: Jump
    margins: Float[np.ndarray, "draw depth"]
    accuracies: Float[np.ndarray, "draw depth"]
    decided: float

    @property
    def draws(self) -> int:
        """The number of draws."""
        return len(self.margins)


def outcome(draws: Sequence[Trace], resamples: int = RESAMPLES, seed: int = 0) -> ControlOutcome:
    """Average traces of the same questions, or of questions in the same places.

    Args:
        draws: The control's traces.
        resamples: Number of resamples behind every interval.
        seed: Decides the resamples.

    Returns:
        The control's curves and their transition.
    """
    found = [decisions(trace.scores, trace.mask, trace.gold) for trace in draws]
    margin, correct = (np.stack([one[side] for one in found]) for side in (0, 1))
    return _outcome(margin, correct, np.array([chance_of(trace) for trace in draws]), draws[0], resamples, seed)


def constant_outcome(trace: Trace, resamples: int = RESAMPLES, seed: int = 0) -> ControlOutcome:
    """The outcome of the best constant answer to each task (`constant_answers`), the same at every depth.

    Where the answer is not offered, it is wrong, with a margin of 0.

    Args:
        trace: Its questions are answered.
        resamples: Number of resamples behind every interval.
        seed: Decides the resamples.

    Returns:
        Curves that are flat over depth.
    """
    parts = [_constant(trace.of(name)) for name in trace.tasks]
    rows = (np.tile(np.concatenate(side), (1, len(trace.scores), 1)) for side in zip(*parts, strict=True))
    margin, correct = rows
    return _outcome(margin, correct, np.array([chance_of(trace)]), trace, resamples, seed)


def shuffled_gold(trace: Trace, rng: np.random.Generator) -> Trace:
    """Exchange golds within each task of a trace (`GoldExchange`).

    Args:
        trace: The model's.
        rng: Decides the exchange.

    Returns:
        The same scores with other golds.
    """
    parts = {name: trace.of(name) for name in trace.tasks}
    return Trace.joined(
        [
            _with_gold(part, GoldExchange(part.questions, part.tasks[name].form).draw(rng))
            for name, part in parts.items()
        ]
    )


def wrong_gold(trace: Trace, rng: np.random.Generator) -> Trace | None:
    """Take a wrong option for gold: the true one is removed and a wrong one drawn in its place.

    Args:
        trace: The model's.
        rng: Decides the draw.

    Returns:
        The trace of questions of more than two options. None where there are none.
    """
    parts = [_wrong(trace.of(name), rng) for name in trace.tasks]
    left = [part for part in parts if part is not None]
    return Trace.joined(left) if left else None


def _outcome(
    margin: Float[np.ndarray, "draw depth question"],
    correct: Float[np.ndarray, "draw depth question"],
    chances: Float[np.ndarray, " draw"],
    about: Trace,
    n_resamples: int,
    seed: int,
) -> ControlOutcome:
    resamples = Resamples.draw(about.groups, n_resamples, seed)
    mean, right, chance = margin.mean(0), correct.mean(0), float(chances.mean())
    samples, right_samples = resamples.means(mean), resamples.means(right)
    point, accuracy = mean.mean(1), right.mean(1)
    margins, accuracies = margin.mean(2), correct.mean(2)
    single = [
        phases.transition(m.mean(1), c.mean(1), resamples.means(m), resamples.means(c), float(level))
        for m, c, level in zip(margin, correct, chances, strict=True)
    ]
    return ControlOutcome(
        n_questions=margin.shape[2],
        chance=chance,
        margin=mean_curve(mean, resamples),
        accuracy=share_curve(right, resamples),
        transition=phases.transition(point, accuracy, samples, right_samples, chance),
        jump=phases.jump(point, samples),
        margins=margins,
        accuracies=accuracies,
        decided=float(np.mean([one.shown for one in single])),
    )


def _constant(trace: Trace) -> tuple[Float[np.ndarray, " question"], Float[np.ndarray, " question"]]:
    """Margin and correctness of the best constant answer to one task."""
    (task,) = trace.tasks.values()
    margin = np.zeros(len(trace.questions))
    answers = constant_answers(trace.questions, task.form)
    for number, (question, answer) in enumerate(zip(trace.questions, answers, strict=True)):
        if answer in (range(len(question.options)) if task.form == "letter" else question.options):
            margin[number] = 1.0 if answer == right_answer(question, task.form) else -1.0
    return margin, (margin > 0).astype(np.float64)


def _wrong(trace: Trace, rng: np.random.Generator) -> Trace | None:
    sizes = trace.mask.sum(1)
    keep = np.flatnonzero(sizes > 2)
    if not len(keep):
        return None
    gold, width = trace.gold[keep], trace.mask.shape[1]
    rest = np.array([[option for option in range(width) if option != right] for right in gold])
    questions = tuple(
        replace(question, options=tuple(o for k, o in enumerate(question.options) if k != question.gold), gold=0)
        for question in (trace.questions[number] for number in keep)
    )
    less = Trace(
        np.take_along_axis(trace.scores[:, keep], rest[None], 2),
        np.take_along_axis(trace.mask[keep], rest, 1),
        np.zeros(len(keep), trace.gold.dtype),
        trace.option_mass[:, keep],
        questions,
        tuple(trace.task_of[number] for number in keep),
        tuple(trace.half_of[number] for number in keep),
        trace.tasks,
    )
    return _with_gold(less, rng.integers(sizes[keep] - 1))


def _with_gold(trace: Trace, gold: Int[np.ndarray, " question"]) -> Trace:
    questions = (replace(q, gold=int(right)) for q, right in zip(trace.questions, gold, strict=True))
    return replace(trace, gold=gold, questions=tuple(questions))
