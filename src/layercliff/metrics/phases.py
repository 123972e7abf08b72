"""Where the decision forms: transition depth, jump, Silent and Decisive Phase."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from layercliff.metrics.decision import stays_from
from layercliff.metrics.statistics import TAIL, percentile_interval, whole_number


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
        p: The chance of a rise as large where golds are shuffled, the largest over all blocks. None where that was not
            looked at.
    """

    block: int
    block_low: int
    block_high: int
    rise: float
    rise_interval: tuple[float, float]
    sharpness: float
    sharpness_interval: tuple[float, float]
    p: float | None = None

    @property
    def shown(self) -> bool:
        """Whether the rise is larger than shuffled golds give."""
        return self.p is not None and self.p <= TAIL


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


def sign_depths(margin: Float[np.ndarray, "*rest depth"]) -> Float[np.ndarray, "*rest"]:
    """T by the sign of DM alone: min { l : for all l' >= l, DM_l' > 0 } (Shi et al. 2026, figure 4).

    Args:
        margin: [... depth] Mean Decision Margins.

    Returns:
        [...] Depths 0..L, infinite where undecided.
    """
    return transition_depths(margin, np.ones_like(margin), 0.0)


def half_depths(margin: Float[np.ndarray, "*rest depth"]) -> Float[np.ndarray, "*rest"]:
    """T_half: the first depth from which DM stays above the middle between its silent plateau and DM_L.

    The plateau is the mean over the depths before the jump.

    Args:
        margin: [... depth] Mean Decision Margins.

    Returns:
        [...] Depths 0..L, infinite where DM_L does not lie above the plateau.
    """
    block, _, _ = rises(margin)
    silent = np.arange(margin.shape[-1]) <= block[..., None]
    plateau = (margin * silent).sum(-1) / silent.sum(-1)
    holds = margin > (plateau + margin[..., -1])[..., None] / 2
    return np.where(holds[..., -1], stays_from(np.moveaxis(holds, -1, 0)), np.inf)


def boundary(point: Float[np.ndarray, ""], samples: Float[np.ndarray, " resample"]) -> Transition:
    """Put a depth together with its interval, and the share of resamples without one.

    Args:
        point: A depth 0..L, infinite where there is none.
        samples: [resample] The same in resamples.

    Returns:
        The depth, with the percentile interval of its resamples.
    """
    return Transition(*whole_number(point, samples), float(np.isinf(samples).mean()))


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
    point = transition_depths(margin, accuracy, chance)
    return boundary(point, transition_depths(margin_samples, accuracy_samples, chance))


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


def jump(
    margin: Float[np.ndarray, " depth"],
    margin_samples: Float[np.ndarray, "resample depth"],
    shuffled: Float[np.ndarray, "shuffle depth"] | None = None,
) -> Jump:
    """Find the jump of a margin curve, with intervals.

    Args:
        margin: [depth] Mean Decision Margin.
        margin_samples: [resample depth] The same in resamples.
        shuffled: [shuffle depth] The same with shuffled golds.

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
        None if shuffled is None else float((1 + (rises(shuffled)[1] >= rise).sum()) / (1 + len(shuffled))),
    )


def _pair(samples: Float[np.ndarray, " resample"]) -> tuple[float, float]:
    low, high = percentile_interval(samples)
    return float(low), float(high)
