"""Noise on the residual stream at one depth."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from layercliff.choices import Positions
from layercliff.interventions.forks import Fork
from layercliff.models.blockwise_pass import ResidualStream
from layercliff.random_streams import RandomStream, generator
from layercliff.readout.batches import Batch, read_from


@dataclass(frozen=True)
class Noise:
    """``h'_l = h_l + eps * sigma(h_l) * N(0, I)`` at a depth l.

    sigma is the standard deviation over the features of a token (after Shi et al. 2026; that it is of each token by
    itself is our choice).

    `ids[q]` names question q. Noise is drawn for each question, depth and draw by themselves, the same for every
    `eps`, so that it does not depend on how rows are batched. Tokens at the same position of a question's rows get the
    same numbers. Padding gets none.

    Batches must keep questions apart: what all begin with would have one noise for all of them. Where only positions
    that are read get noise, they must keep rows apart as well: a token may be read for one option alone.
    """

    ids: tuple[str, ...]
    eps: tuple[float, ...]
    draws: int
    positions: Positions
    seed: int

    def forks(self, n_layers: int) -> list[Fork]:
        """A run per size, draw and depth 0..L, in this order."""
        return [
            Fork(depth, tuple(range(depth, n_layers)), partial(self.disturbed, depth=depth, draw=draw, eps=eps))
            for eps in self.eps
            for draw in range(self.draws)
            for depth in range(n_layers + 1)
        ]

    def disturbed(self, stream: ResidualStream, batch: Batch, depth: int, draw: int, eps: float) -> ResidualStream:
        """A stream with noise on it."""
        (state,) = stream.levels
        wide = state.float()
        noise = self.normal(batch, depth, draw, state.shape[1:]).to(state.device)
        sigma = wide.std(-1, correction=0, keepdim=True)
        return replace(stream, levels=((wide + eps * sigma * noise).to(state.dtype),))

    def normal(self, batch: Batch, depth: int, draw: int, shape: Sequence[int]) -> Float[Tensor, "row position d"]:
        """Standard normal numbers for the positions that get noise, drawn in their order. 0 elsewhere."""
        noisy = [
            list(path if self.positions == "all" else path[read_from(row) :])
            for row, (_, path) in zip(batch.rows, batch.places, strict=True)
        ]
        most: dict[int, int] = {}  # of a question's rows
        for row, places in zip(batch.rows, noisy, strict=True):
            most[row.question] = max(len(places), most.get(row.question, 0))
        drawn = {}
        for question, count in most.items():
            rng = generator(RandomStream.NOISE, self.seed, _number(self.ids[question]), depth, draw)
            drawn[question] = rng.standard_normal((count, shape[-1]), dtype=np.float32)
        found = np.zeros((len(batch.sequences), *shape), np.float32)
        for row, (sequence, _), places in zip(batch.rows, batch.places, noisy, strict=True):
            found[sequence, places] = drawn[row.question][: len(places)]
        return torch.from_numpy(found)


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
