"""A path repeated: on other halves of the questions, or, of the random criterion, in other orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from jaxtyping import Float

from layercliff.metrics.analysis import chance_of, transition_depth
from layercliff.metrics.collapse import collapse_steps
from layercliff.pruning.step import Step
from layercliff.readout.trace import Trace


@dataclass(frozen=True)
class PathRepeat:
    """One of the repetitions of a path, at every step from the dense model on.

    Attributes:
        kept: [step] Dense indices of its blocks.
        accuracy: [step] Share of right answers of the report half, at the last depth.
        chance: Share that is right by chance.
        decided: [step] Whether there is a transition depth. Empty in older files.
    """

    kept: tuple[tuple[int, ...], ...]
    accuracy: tuple[float, ...]
    chance: float
    decided: tuple[bool, ...] = ()

    @staticmethod
    def of(steps: Sequence[Step], accuracy: Float[np.ndarray, " step"], traces: Sequence[Trace]) -> "PathRepeat":
        """What is kept of a walked path.

        Args:
            steps: Steps from the dense model on.
            accuracy: [step] Share of right answers.
            traces: [step] The last depth of each is enough.

        Returns:
            The repetition.
        """
        chance = chance_of(traces[0])
        decided = tuple(bool(np.isfinite(transition_depth(trace, chance))) for trace in traces)
        return PathRepeat(tuple(step.kept for step in steps), tuple(map(float, accuracy)), chance, decided)

    @property
    def collapse(self) -> int | None:
        """The collapse step, by the estimate; None where censored."""
        step = float(collapse_steps(np.array(self.accuracy), self.chance))
        return int(step) if np.isfinite(step) else None


@dataclass(frozen=True)
class Stability:
    """All repetitions compared, up to the steps that every one of them has.

    Attributes:
        loss: [split step] Accuracy lost against the dense model.
        gone: [step block] Share of repetitions in which the block is gone.
        collapse: [split] Collapse steps, None where censored.
    """

    loss: Float[np.ndarray, "split step"]
    gone: Float[np.ndarray, "step block"]
    collapse: tuple[int | None, ...]

    @staticmethod
    def of(splits: Sequence[PathRepeat]) -> "Stability":
        """Compare repetitions.

        Args:
            splits: At least one.

        Returns:
            What they have in common.
        """
        n_steps = min(len(split.kept) for split in splits)
        blocks = range(len(splits[0].kept[0]))
        loss = np.array([[split.accuracy[0] - a for a in split.accuracy[:n_steps]] for split in splits])
        gone = np.array(
            [[np.mean([block not in split.kept[k] for split in splits]) for block in blocks] for k in range(n_steps)]
        )
        return Stability(loss, gone, tuple(split.collapse for split in splits))

    @property
    def collapse_range(self) -> tuple[float, float, float]:
        """The least, the median and the greatest collapse step, infinite where censored."""
        steps = [np.inf if step is None else float(step) for step in self.collapse]
        return min(steps), median(steps), max(steps)
