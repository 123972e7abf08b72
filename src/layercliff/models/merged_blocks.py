"""Merged blocks, described in terms of the dense model's blocks.

A merged block mixes dense blocks weight by weight, or takes heads and channels from several. Merging merged blocks
gives such a description again.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from types import MappingProxyType
from typing import Any

import numpy as np

from layercliff.models.stored_path import StoredStep
from layercliff.run.stored_files import StoredFolder

BlockCoefficients = Mapping[int, float]
"""Coefficients by dense index."""

SlotOrigin = tuple[int, int]
"""A dense block, and the index of one of its heads or channels."""


@dataclass(frozen=True)
class Linear:
    """A weighted sum: every weight is the sum of the dense blocks' weights, each times its coefficient."""

    weights: BlockCoefficients

    @property
    def sources(self) -> frozenset[int]:
        """The dense blocks that it mixes."""
        return frozenset(self.weights)


@dataclass(frozen=True)
class Channelwise:
    """A block whose heads and channels come from several dense blocks.

    Heads that share keys and values stay together. Weights of no head or channel are mixed: with `inside` in
    attention and MLP (output biases, norms of queries and keys), with `outside` elsewhere (the block's norms).
    """

    heads: tuple[SlotOrigin, ...]
    channels: tuple[SlotOrigin, ...]
    inside: BlockCoefficients
    outside: BlockCoefficients

    @property
    def sources(self) -> frozenset[int]:
        """The dense blocks that it takes from."""
        return frozenset(block for block, _ in (*self.heads, *self.channels)) | set(self.inside) | set(self.outside)


Blend = Linear | Channelwise
Blends = Mapping[int, Blend]
"""Merged blocks, by the dense index of the block that each replaces. Blocks not listed are the dense ones."""

NAME = "blends"
ARRAYS = f"{NAME}.safetensors"
NOTHING: Blends = MappingProxyType({})
"""No block is merged."""


def shared_blocks(first: Sequence[int], second: Sequence[int], merged: Container[int] = ()) -> int:
    """How many leading blocks two models share, none of them `merged`.

    `first` and `second` are the dense indices of their blocks.
    """
    pairs = zip(first, second, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1] and pair[0] not in merged, pairs))


def linear(blends: Blends, block: int) -> Linear:
    """The merged block at the index `block`, which must be linear. A dense block is itself, once."""
    found = blends.get(block, Linear({block: 1.0}))
    assert isinstance(found, Linear)
    return found


def mixed(parts: Iterable[tuple[float, BlockCoefficients]]) -> BlockCoefficients:
    """The weighted sum of mixtures, by dense index. Coefficients that cancel are left out.

    >>> mixed([(0.5, {3: 1.0}), (0.5, {3: 0.5, 4: 0.5})])
    {3: 0.75, 4: 0.25}
    """
    found: dict[int, float] = {}
    for coefficient, weights in parts:
        for block, weight in weights.items():
            found[block] = found.get(block, 0.0) + coefficient * weight
    return {block: found[block] for block in sorted(found) if found[block] != 0}


def ordered(blends: Blends) -> tuple[tuple[int, Blend], ...]:
    """The merged blocks in one order. Journal keys hash its text."""
    return tuple(sorted(blends.items()))


def to_file(blends: Blends, step: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Merged blocks as JSON for ``path.json`` and as arrays for `ARRAYS`.

    Arrays are ``[slot, (block, index)]``, named ``<step>.<block>.heads`` and ``<step>.<block>.channels``.
    """
    said: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for block, blend in blends.items():
        if isinstance(blend, Linear):
            said[str(block)] = {"weights": _said(blend.weights)}
        else:
            said[str(block)] = {"inside": _said(blend.inside), "outside": _said(blend.outside)}
            arrays[f"{step}.{block}.heads"] = np.array(blend.heads, np.int32).reshape(-1, 2)
            arrays[f"{step}.{block}.channels"] = np.array(blend.channels, np.int32).reshape(-1, 2)
    return said, arrays


def read(folder: StoredFolder, step: StoredStep, n_layers: int) -> Blends:
    """The merged blocks of a step of the path in `folder`, for a model of `n_layers` blocks.

    Raises `RunError` for damaged arrays.
    """
    found: dict[int, Blend] = {}
    for block, content in step.blends.items():
        if content.weights is not None:
            found[int(block)] = Linear(_weights(content.weights))
            continue
        names = [f"{step.step}.{block}.{kind}" for kind in ("heads", "channels")]
        arrays = folder.arrays(NAME, {name: f"int {name} 2" for name in names})
        for name in names:
            if arrays[name].size and (arrays[name].min() < 0 or arrays[name][:, 0].max() >= n_layers):
                folder.refuse(ARRAYS, f"{name} names what none of {n_layers} blocks has")
        heads, channels = (_origins(arrays[name]) for name in names)
        inside, outside = (_weights(part or {}) for part in (content.inside, content.outside))
        found[int(block)] = Channelwise(heads, channels, inside, outside)
    return found


def _said(weights: BlockCoefficients) -> dict[str, float]:
    return {str(block): weight for block, weight in weights.items()}


def _weights(said: Mapping[str, float]) -> BlockCoefficients:
    return {int(block): weight for block, weight in said.items()}


def _origins(array: np.ndarray) -> tuple[SlotOrigin, ...]:
    return tuple((int(block), int(index)) for block, index in array)


def renamed(blends: Blends, names: Sequence[int]) -> Blends:
    """The same merged blocks with other indices: block b becomes ``names[b]``."""

    def weights(old: BlockCoefficients) -> BlockCoefficients:
        return {names[block]: weight for block, weight in old.items()}

    def origins(old: tuple[SlotOrigin, ...]) -> tuple[SlotOrigin, ...]:
        return tuple((names[block], index) for block, index in old)

    return {
        names[block]: Linear(weights(blend.weights))
        if isinstance(blend, Linear)
        else Channelwise(origins(blend.heads), origins(blend.channels), weights(blend.inside), weights(blend.outside))
        for block, blend in blends.items()
    }


def summary(blends: Blends) -> dict[str, Any]:
    """What each merged block is made of, in short.

    Linear ones give their coefficients, others how many heads and channels come from each dense block.
    """
    return {
        str(block): {"weights": _said(blend.weights)}
        if isinstance(blend, Linear)
        else {
            "heads": _counts(blend.heads),
            "channels": _counts(blend.channels),
            "inside": _said(blend.inside),
            "outside": _said(blend.outside),
        }
        for block, blend in blends.items()
    }


def _counts(origins: Sequence[SlotOrigin]) -> dict[str, int]:
    blocks = [block for block, _ in origins]
    return {str(block): blocks.count(block) for block in sorted(set(blocks))}
