"""What `layercliff.compare` is told."""

from collections.abc import Sequence
from dataclasses import dataclass

from layercliff.pruning.spec import PathSpec
from layercliff.run import parsing
from layercliff.run.spec import option


@dataclass(frozen=True)
class CompareSpec(PathSpec):
    """Paths end after `remove` blocks or at the share `to_ratio` (default: half of the blocks)."""

    criteria: Sequence[str] = option(
        positional=True,
        kind=str,
        read=parsing.names,
        help="Criteria joined by commas (see `layercliff criteria`).",
    )
    assess: bool = option(False)
