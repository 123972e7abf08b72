"""Blocks whose weights are made of several dense blocks' weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Blend:
    """How one block's weights are made of dense blocks' weights: `weights` are linear coefficients by dense index."""

    weights: Mapping[int, float]

    def as_dict(self) -> dict[str, Any]:
        """For files."""
        return {"weights": {str(index): weight for index, weight in self.weights.items()}}

    @staticmethod
    def from_dict(found: Mapping[str, Any]) -> "Blend":
        """Back from a file."""
        return Blend({int(index): float(weight) for index, weight in found["weights"].items()})


@contextmanager
def blended(_network: Any, blends: Mapping[int, Blend]) -> Iterator[None]:
    """While this lasts, the network's blocks have the weights that `blends` say."""
    if blends:
        raise NotImplementedError
    yield
