"""Lenses: ways to read a residual stream at any depth in the model's vocabulary."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from layercliff.models.unembedding import Unembedding


@runtime_checkable
class Lens(Protocol):
    """Reads states. Each has a `name` and the head that it reads through (`unembedding`)."""

    name: str
    unembedding: Unembedding

    def readable(self, depth: int, hidden: Float[Tensor, "n d"]) -> Float[Tensor, "n e"]:
        """Prepare states for the head.

        Args:
            depth: Where they are from, 0..L.
            hidden: [n d] States.

        Returns:
            [n e] What the head multiplies.
        """


class LogitLens:
    """The logit lens (nostalgebraist 2020): every depth is read as if it were the last.

    It uses the model's own final norm, with the statistics of the state itself.
    """

    name = "logit"

    def __init__(self, unembedding: Unembedding) -> None:
        self.unembedding = unembedding

    def readable(self, depth: int, hidden: Float[Tensor, "n d"]) -> Float[Tensor, "n e"]:
        """Apply the final norm.

        Args:
            depth: It does not matter to this lens.
            hidden: [n d] States.

        Returns:
            [n e] What the head multiplies.
        """
        return self.unembedding.normed(hidden)


class TunedLens:
    """The tuned lens (Belrose et al. 2023): depth l < L has an affine map of its own, ``h + A_l h + b_l``.

    The map predicts the last depth's state, which is then read as usual. The last depth has no map and is exact.
    """

    name = "tuned"

    def __init__(
        self, unembedding: Unembedding, weights: Float[Tensor, "depth d d"], biases: Float[Tensor, "depth d"]
    ) -> None:
        self.unembedding, self.weights, self.biases = unembedding, weights, biases

    def readable(self, depth: int, hidden: Float[Tensor, "n d"]) -> Float[Tensor, "n e"]:
        """Apply the map of the depth, if there is one, and the final norm.

        Args:
            depth: Where states are from, 0..L.
            hidden: [n d] States.

        Returns:
            [n e] What the head multiplies.
        """
        if depth < len(self.weights):
            hidden = hidden.float()
            hidden = hidden + hidden @ self.weights[depth].T + self.biases[depth]
        return self.unembedding.normed(hidden)
