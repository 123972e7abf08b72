"""Everything that a trace says about one task or several."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from layercliff.choices import Normalisation
from layercliff.metrics import decision, frequency, phases
from layercliff.metrics.chance import chance
from layercliff.metrics.frequency import OptionFrequency
from layercliff.metrics.intervals import mean_curve, share_curve
from layercliff.metrics.phases import Jump, Transition
from layercliff.metrics.shuffled_gold import GoldExchange
from layercliff.metrics.statistics import RESAMPLES, Curve, Resamples
from layercliff.random_streams import RandomStream, generator
from layercliff.readout.trace import Trace

SHUFFLES = 199
"""Of golds, that a trace's jump is held against: p is a multiple of 1/200."""


@dataclass(frozen=True)
class Analysis:
    """The metrics of a set of questions over depth 0..L.

    Curves have pointwise 95 % intervals from the same resamples. In *cloze*, all are by the sum of an option's
    log-probabilities.

    Attributes:
        name: The task, or ``joint`` for several.
        n_questions: Number of questions.
        n_groups: Number of groups that are resampled.
        resamples: Number of resamples.
        chance: Share that is right by chance (`layercliff.metrics.chance.chance`).
        margin: Mean Decision Margin by depth, in [-1, 1].
        margin_logit: The same of scores instead of probabilities, in nats.
        accuracy: Share of right answers by depth. A tie counts as its share.
        option_mass: [depth] The options' share of the whole vocabulary. nan where not computed.
        frequency: Which options are chosen. None for several tasks, whose answers are not of one kind.
        transition: T, the depth from which DM stays above 0 and accuracy above chance.
        jump: The largest rise of the margin over one block.
        by_sign: T by the sign of DM alone, as the paper reads it.
        half: T_half, the middle of the rise of DM. It is a boundary only where the jump is shown (`Jump.shown`).
        accuracy_by: Accuracy by token, character and byte in *cloze*, where their numbers are known.
    """

    name: str
    n_questions: int
    n_groups: int
    resamples: int
    chance: float
    margin: Curve
    margin_logit: Curve
    accuracy: Curve
    option_mass: Float[np.ndarray, " depth"]
    frequency: OptionFrequency | None
    transition: Transition
    jump: Jump
    by_sign: Transition
    half: Transition
    accuracy_by: Mapping[Normalisation, Curve] = field(default_factory=dict)

    @property
    def n_layers(self) -> int:
        """The number of blocks, L."""
        return len(self.margin.point) - 1


def analyse(trace: Trace, resamples: int = RESAMPLES, seed: int = 0, shuffles: int = 0) -> dict[str, Analysis]:
    """Analyse each task of a trace. Several tasks are also analysed together, under the name ``joint``.

    Args:
        trace: Scores at every depth.
        resamples: Number of resamples behind every interval.
        seed: Decides the resamples.
        shuffles: Number of shuffles of golds that the jump is held against.

    Returns:
        An analysis by name.
    """
    found = {name: _analyse(trace.of(name), name, resamples, seed, shuffles) for name in trace.tasks}
    if len(found) > 1:
        found["joint"] = _analyse(trace, "joint", resamples, seed, shuffles)
    return found


def _analyse(trace: Trace, name: str, n_resamples: int, seed: int, shuffles: int) -> Analysis:
    resamples = Resamples.draw(trace.groups, n_resamples, seed)
    margins = decision.margin(decision.probabilities(trace.scores, trace.mask), trace.mask, trace.gold)
    logit_margins = decision.margin(trace.scores.astype(np.float64), trace.mask, trace.gold)
    votes = decision.votes(trace.scores, trace.mask)
    correct = decision.correctness(trace.scores, trace.mask, trace.gold)
    level = chance_of(trace)

    margin_samples, accuracy_samples = resamples.means(margins), resamples.means(correct)
    margin, accuracy = margins.mean(1), correct.mean(1)
    shuffled = shuffled_margins(trace, shuffles, seed) if shuffles else None
    of = None
    if len(trace.tasks) == 1:
        (task,) = trace.tasks.values()
        kinds = frequency.categories(trace.questions, task.form)
        of = frequency.option_frequency(votes, trace.gold, kinds, resamples, seed)
    return Analysis(
        name=name,
        n_questions=len(trace.questions),
        n_groups=len(set(trace.groups)),
        resamples=n_resamples,
        chance=level,
        margin=mean_curve(margins, resamples),
        margin_logit=mean_curve(logit_margins, resamples),
        accuracy=share_curve(correct, resamples),
        option_mass=trace.option_mass.astype(np.float64).mean(1),
        frequency=of,
        transition=phases.transition(margin, accuracy, margin_samples, accuracy_samples, level),
        jump=phases.jump(margin, margin_samples, shuffled),
        by_sign=phases.boundary(phases.sign_depths(margin), phases.sign_depths(margin_samples)),
        half=phases.boundary(phases.half_depths(margin), phases.half_depths(margin_samples)),
        accuracy_by={by: _accuracy(trace.by(by), resamples) for by in trace.sizes},
    )


def shuffled_margins(trace: Trace, draws: int, seed: int) -> Float[np.ndarray, "shuffle depth"]:
    """DM over depth with golds exchanged within each task (`GoldExchange`).

    Args:
        trace: Scores at every depth.
        draws: Number of exchanges.
        seed: Decides them.

    Returns:
        [shuffle depth] Mean Decision Margins.
    """
    golds = np.empty((draws, len(trace.questions)), np.int64)
    for number, (name, task) in enumerate(trace.tasks.items()):
        here = np.array([of == name for of in trace.task_of])
        questions = [q for q, own in zip(trace.questions, here, strict=True) if own]
        rng = generator(RandomStream.JUMP_SHUFFLES, seed, number)
        golds[:, here] = GoldExchange(questions, task.form).draws(draws, rng)
    margins = decision.margins_of_all(decision.probabilities(trace.scores, trace.mask), trace.mask)
    question = np.arange(len(trace.questions))
    return np.stack([margins[:, question, gold].mean(1) for gold in golds])


def _accuracy(trace: Trace, resamples: Resamples) -> Curve:
    return share_curve(decision.correctness(trace.scores, trace.mask, trace.gold), resamples)


def transition_depth(trace: Trace, chance: float) -> float:
    """Estimate T from all questions of a trace together, without an interval.

    Args:
        trace: Scores at every depth.
        chance: Share that is right by chance.

    Returns:
        A depth 0..L, infinite where undecided.
    """
    margin = decision.margin(decision.probabilities(trace.scores, trace.mask), trace.mask, trace.gold).mean(1)
    accuracy = decision.correctness(trace.scores, trace.mask, trace.gold).mean(1)
    return float(phases.transition_depths(margin, accuracy, chance))


def chance_of(trace: Trace) -> float:
    """The chance level of a trace.

    Args:
        trace: Its questions count, not its scores.

    Returns:
        A share. Of several tasks, it is the mean weighted by questions.
    """
    parts = [trace.of(name) for name in trace.tasks] if len(trace.tasks) > 1 else [trace]
    chances = [chance(part.questions, next(iter(part.tasks.values())).form) for part in parts]
    return float(np.average(chances, weights=[len(part.questions) for part in parts]))
