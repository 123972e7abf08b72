"""A step of a path, and what chooses one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from layercliff.models.merged_blocks import Blends


@dataclass(frozen=True)
class Step:
    """The model that keeps the dense indices `kept`, those in `blends` with merged weights. Step 0 is the dense model.

    `kept` is authoritative: paths need not nest. `removed`: the blocks that the step before still had. `scores`: what
    the choice was made from, by dense index. The highest goes first. `seen`: in a race, how many questions each
    candidate was scored on.
    """

    kept: tuple[int, ...]
    removed: tuple[int, ...] = ()
    scores: Mapping[int, float] = field(default_factory=dict)
    seen: Mapping[int, int] = field(default_factory=dict)
    blends: Blends = field(default_factory=dict)


@runtime_checkable
class BlockSelector(Protocol):
    """Chooses the steps of one path. `passes` counts block passes of batches, `seconds` the time they took."""

    passes: int
    seconds: float

    def choose(self, before: Step) -> Step | None:
        """The step after `before`, or None where the criterion removes nothing more."""
        ...
