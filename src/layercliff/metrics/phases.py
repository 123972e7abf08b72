"""Where the decision forms: transition depth, jump, Silent and Decisive Phase."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from layercliff.metrics.decision import stays_from
from layercliff.metrics.statistics import percentile_interval


@dataclass(frozen=True)
class Transition:
    """The transition depth T.

    Blocks ``0..T-1`` are the Silent Phase. Block T-1 is the transition block. Blocks ``T..L-1`` are the Decisive
    Phase.

    Attributes:
        depth: T, from 0 to L. None where undecided.
        low: Lower end of its 95 % interval. Infinite where undecided.
        high: Upper end.
        undecided_share: Share of resamples without a transition.
    """

    depth: int | None
    low: float
    high: float
    undecided_share: float

    @property
    def shown(self) -> bool:
        """Whether there is a transition, also in all but 2.5 % of resamples."""
        return self.depth is not None and bool(np.isfinite(self.high))


@dataclass(frozen=True)
class Jump:
    """The largest rise of the Decision Margin over one block.

    Intervals are at 95 %.

    Attributes:
        block: The block, from 0.
        block_low: Lower end of its interval.
        block_high: Upper end.
        rise: The rise of the margin, in [-2, 2].
        rise_interval: Its interval.
        sharpness: Its share of all rises, in [0, 1].
        sharpness_interval: Its interval.
    """

    block: int
    block_low: int
    block_high: int
    rise: float
    rise_interval: tuple[float, float]
    sharpness: float
    sharpness_interval: tuple[float, float]


def transition_depths(
    margin: Float[np.ndarray, "*rest depth"], accuracy: Float[np.ndarray, "*rest depth"], chance: float
) -> Float[np.ndarray, "*rest"]:
    """T = min { l : for all l' >= l, DM_l' > 0 and acc_l' > chance } (Shi et al. 2026).

    Args:
        margin: [*rest depth] Mean Decision Margin.
        accuracy: [*rest depth] Share of right answers.
        chance: Share that is right by chance.

    Returns:
        [*rest] Depth 0..L, infinite where undecided.
    """
    holds = (margin > 0) & (accuracy > chance)
    first = stays_from(np.moveaxis(holds, -1, 0))
    return np.where(holds[..., -1], first, np.inf)


def transition(
    margin: Float[np.ndarray, " depth"],
    accuracy: Float[np.ndarray, " depth"],
    margin_samples: Float[np.ndarray, "resample depth"],
    accuracy_samples: Float[np.ndarray, "resample depth"],
    chance: float,
) -> Transition:
    """Find the transition depth of curves, with its interval.

    Args:
        margin: [depth] Mean Decision Margin.
        accuracy: [depth] Share of right answers.
        margin_samples: [resample depth] Margin in resamples.
        accuracy_samples: [resample depth] Accuracy in the same resamples.
        chance: Share that is right by chance.

    Returns:
        T and its interval.
    """
    point = float(transition_depths(margin, accuracy, chance))
    samples = transition_depths(margin_samples, accuracy_samples, chance)
    low, high = percentile_interval(samples)
    return Transition(
        int(point) if np.isfinite(point) else None, float(low), float(high), float(np.isinf(samples).mean())
    )


def rises(
    margin: Float[np.ndarray, "*rest depth"],
) -> tuple[Int[np.ndarray, "*rest"], Float[np.ndarray, "*rest"], Float[np.ndarray, "*rest"]]:
    """Find the block of the largest rise.

    Args:
        margin: [*rest depth] Mean Decision Margin.

    Returns:
        Each [*rest]: the block, its rise, and the rise's share of all rises (0 where nothing rises).
    """
    steps = np.diff(margin, axis=-1)
    largest = np.asarray(steps.max(-1))
    total = np.clip(steps, 0, None).sum(-1)
    return np.asarray(steps.argmax(-1)), largest, np.divide(largest, total, out=np.zeros_like(largest), where=total > 0)


def jump(margin: Float[np.ndarray, " depth"], margin_samples: Float[np.ndarray, "resample depth"]) -> Jump:
    """Find the jump of a margin curve, with intervals.

    Args:
        margin: [depth] Mean Decision Margin.
        margin_samples: [resample depth] The same in resamples.

    Returns:
        The block of the largest rise.
    """
    block, rise, sharpness = rises(margin)
    blocks, rise_samples, sharpness_samples = rises(margin_samples)
    block_low, block_high = percentile_interval(blocks.astype(np.float64))
    return Jump(
        int(block),
        int(block_low),
        int(block_high),
        float(rise),
        _pair(rise_samples),
        float(sharpness),
        _pair(sharpness_samples),
    )


def _pair(samples: Float[np.ndarray, " resample"]) -> tuple[float, float]:
    low, high = percentile_interval(samples)
    return float(low), float(high)
