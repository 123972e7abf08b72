"""Lenses: ways of reading a residual stream of any depth in the model's vocabulary."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from layercliff.models.unembedding import Unembedding


@runtime_checkable
class Lens(Protocol):
    """`readable` makes the state of a depth fit for the rows of the head in `unembedding`."""

    name: str
    unembedding: Unembedding

    def readable(self, depth: int, hidden: Float[Tensor, "n d"]) -> Float[Tensor, "n e"]: ...


class LogitLens:
    """The logit lens (nostalgebraist 2020): every depth is read as if it were the last, through the model's own final
    norm, whose statistics are those of the state itself."""

    name = "logit"

    def __init__(self, unembedding: Unembedding) -> None:
        self.unembedding = unembedding

    def readable(self, depth: int, hidden: Float[Tensor, "n d"]) -> Float[Tensor, "n e"]:
        """Norm a state; `depth` makes no difference to this lens."""
        return self.unembedding.normed(hidden)


class TunedLens:
    """The tuned lens (Belrose et al. 2023): the state of depth l < L is brought by an affine map of its own, ``h + A_l
    h + b_l``, to what the last depth would hold, and then read as the last is. The last depth has no map: it is the
    model itself, to the bit."""

    name = "tuned"

    def __init__(
        self, unembedding: Unembedding, weights: Float[Tensor, "depth d d"], biases: Float[Tensor, "depth d"]
    ) -> None:
        self.unembedding, self.weights, self.biases = unembedding, weights, biases

    def readable(self, depth: int, hidden: Float[Tensor, "n d"]) -> Float[Tensor, "n e"]:
        """Translate a state by the map of its depth, if it has one, and norm it."""
        if depth < len(self.weights):
            hidden = hidden.float()
            hidden = hidden + hidden @ self.weights[depth].T + self.biases[depth]
        return self.unembedding.normed(hidden)
