"""Everything that a trace says about one task or several."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from layercliff.metrics import decision, frequency, phases
from layercliff.metrics.chance import chance
from layercliff.metrics.frequency import OptionFrequency
from layercliff.metrics.intervals import mean_curve, share_curve
from layercliff.metrics.phases import Jump, Transition
from layercliff.metrics.statistics import RESAMPLES, Curve, Resamples
from layercliff.readout.trace import Trace


@dataclass(frozen=True)
class Analysis:
    """The metrics of a set of questions over depth 0..L.

    Curves have pointwise 95 % intervals from the same resamples.

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
        transition: Where the decision forms.
        jump: The largest rise of the margin over one block.
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

    @property
    def n_layers(self) -> int:
        """The number of blocks, L."""
        return len(self.margin.point) - 1


def analyse(trace: Trace, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Analysis]:
    """Analyse each task of a trace. Several tasks are also analysed together, under the name ``joint``.

    Args:
        trace: Scores at every depth.
        resamples: Number of resamples behind every interval.
        seed: Decides the resamples.

    Returns:
        An analysis by name.
    """
    found = {name: _analyse(trace.of(name), name, resamples, seed) for name in trace.tasks}
    if len(found) > 1:
        found["joint"] = _analyse(trace, "joint", resamples, seed)
    return found


def _analyse(trace: Trace, name: str, n_resamples: int, seed: int) -> Analysis:
    resamples = Resamples.draw(trace.groups, n_resamples, seed)
    margins = decision.margin(decision.probabilities(trace.scores, trace.mask), trace.mask, trace.gold)
    logit_margins = decision.margin(trace.scores.astype(np.float64), trace.mask, trace.gold)
    votes = decision.votes(trace.scores, trace.mask)
    correct = decision.correctness(trace.scores, trace.mask, trace.gold)
    level = chance_of(trace)

    margin_samples, accuracy_samples = resamples.means(margins), resamples.means(correct)
    margin, accuracy = margins.mean(1), correct.mean(1)
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
        jump=phases.jump(margin, margin_samples),
    )


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
