"""A step of a path, and what chooses one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from layercliff.models.merged_blocks import Blends


@dataclass(frozen=True)
class Step:
    """A step of a path: a model with fewer blocks. Step 0 is the dense model.

    Attributes:
        kept: Dense indices of its blocks. They are authoritative: paths need not nest.
        removed: The blocks that the step before still had.
        scores: What the choice was made from, by dense index. The highest goes first.
        seen: In a race, how many questions each candidate was scored on.
        blends: Those of the kept blocks that are merged.
    """

    kept: tuple[int, ...]
    removed: tuple[int, ...] = ()
    scores: Mapping[int, float] = field(default_factory=dict)
    seen: Mapping[int, int] = field(default_factory=dict)
    blends: Blends = field(default_factory=dict)


@runtime_checkable
class BlockSelector(Protocol):
    """Chooses the steps of one path.

    Attributes:
        passes: Block passes of batches up to now.
        seconds: Time that they took.
    """

    passes: int
    seconds: float

    def choose(self, before: Step) -> Step | None:
        """Choose the next step.

        Args:
            before: The step that the path is at.

        Returns:
            The step after it, or None where the criterion removes nothing more.
        """
        ...
