"""The weights of merged blocks: made from the dense ones, exchanged for a while or for good.

The modules stay the dense ones. Only what their parameters hold is exchanged.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from layercliff.errors import ModelError
from layercliff.models.anatomy import find_blocks
from layercliff.models.merged_blocks import Blend, Blends, BlockCoefficients, Channelwise, Linear
from layercliff.models.model import Model
from layercliff.models.precision import TOLERANCE
from layercliff.models.weight_layout import KINDS, layout

NewWeights = Mapping[nn.Parameter, Tensor]
"""The new value of each parameter."""


def make(network: PreTrainedModel, blends: Blends) -> NewWeights:
    """Make the weights of merged blocks from those of `network`, which must be the dense model.

    They are mixed in float32 and stored in the dtype of the dense block. Raises `ModelError` where blocks differ in
    structure.
    """
    if not blends:
        return {}
    _, blocks = find_blocks(network)
    found: dict[nn.Parameter, Tensor] = {}
    for place, blend in blends.items():
        check_alike(blocks, [place, *sorted(blend.sources)])
        with torch.inference_mode(next(blocks[place].parameters()).is_inference()), torch.no_grad():
            found |= _made(network, blocks, place, blend)
    return found


def apply(made: NewWeights) -> None:
    """Replace weights for good."""
    for parameter, data in made.items():
        with torch.inference_mode(parameter.is_inference()):  # else it would have no gradients ever after
            parameter.data = data


@contextmanager
def weights_replaced(made: NewWeights) -> Iterator[None]:
    """Replace weights for a while. Afterwards the very same tensors are back, whatever happened."""
    held = {}
    for parameter in made:
        with torch.inference_mode(parameter.is_inference()):
            held[parameter] = parameter.data
    try:
        apply(made)
        yield
    finally:
        apply(held)


@contextmanager
def blended(network: PreTrainedModel, blends: Blends) -> Iterator[None]:
    """Merge the kept blocks of `network`, the dense model, for a while. Raises `ModelError` as `make` does."""
    with weights_replaced(make(network, blends)):
        yield


def check_alike(blocks: nn.ModuleList, indices: Sequence[int]) -> None:
    """Check that blocks have parameters of the same names and shapes. Raises `ModelError` naming two that differ."""
    first = indices[0]
    own = {name: tuple(p.shape) for name, p in blocks[first].named_parameters()}
    for index in indices:
        other = {name: tuple(p.shape) for name, p in blocks[index].named_parameters()}
        if other != own:
            name = min(name for name in own.keys() | other.keys() if own.get(name) != other.get(name))
            raise ModelError(
                f"The blocks {first} and {index} differ in structure ({name} is {_shape(own.get(name))} and "
                f"{_shape(other.get(name))}), so that they cannot be merged: use a criterion that removes blocks."
            )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else "x".join(map(str, shape))


def _made(network: PreTrainedModel, blocks: nn.ModuleList, place: int, blend: Blend) -> dict[nn.Parameter, Tensor]:
    slots = {} if isinstance(blend, Linear) else layout(network, blocks[place])
    stored = {index: dict(blocks[index].named_parameters()) for index in {place, *blend.sources}}
    found = {}
    for name, parameter in blocks[place].named_parameters():
        same = {index: parameters[name].detach() for index, parameters in stored.items()}
        lies = slots.get(name)
        if isinstance(blend, Linear):
            found[parameter] = _mix(same, blend.weights)
        elif lies is not None:
            found[parameter] = lies.gather(same, blend.heads if lies.kind == "heads" else blend.channels)
        else:
            found[parameter] = _mix(same, blend.inside if name in slots else blend.outside)
    return found


def _mix(same: Mapping[int, Tensor], weights: BlockCoefficients) -> Tensor:
    """The weighted sum of one parameter over dense blocks."""
    some = next(iter(same.values()))
    total = torch.zeros_like(some, dtype=torch.float32)
    for block, coefficient in weights.items():
        total.add_(same[block].float(), alpha=coefficient)
    return total.to(some.dtype)


@torch.inference_mode()
def prove(model: Model) -> None:
    """Check where heads and channels lie in the weights: a block with their order reversed must compute the same.

    Raises `ModelError` naming the kind of block whose layout was not understood.
    """
    network, anatomy = model.network, model.anatomy
    ids = torch.arange(3, 11, device=model.device)[None] % anatomy.unembedding.vocabulary
    proven: list[object] = []
    for index, block in enumerate(anatomy.blocks):
        if (found := layout(network, block)) in proven:
            continue
        proven.append(found)
        same = identity(network, index)
        passage = anatomy.enter(ids)
        with anatomy.computing():
            begin = passage.embedded
            own = passage.block(index, begin).levels[-1]
            for kind in KINDS:
                with blended(network, {index: replace(same, **{kind: getattr(same, kind)[::-1]})}):
                    other = passage.block(index, begin).levels[-1]
                written = (own - begin.levels[-1]).abs().max().clamp_min(1e-6)
                if not float((other - own).abs().max() / written) < TOLERANCE[anatomy.dtype]:
                    raise ModelError(
                        f"How {kind} lie in the weights of a {type(block).__name__} is not understood (in another "
                        "order they compute something else): use another criterion than come."
                    )


def identity(network: PreTrainedModel, index: int) -> Channelwise:
    """The dense block `index`, described by its own heads and channels."""
    slots = layout(network, find_blocks(network)[1][index])
    count = {kind: next(s.count for s in slots.values() if s is not None and s.kind == kind) for kind in KINDS}
    heads, channels = (tuple((index, slot) for slot in range(count[kind])) for kind in KINDS)
    return Channelwise(heads, channels, {index: 1.0}, {index: 1.0})
