"""Where the heads and channels of a block lie in its weights.

A *slot* is a group of heads that shares keys and values, or a channel of the MLP. The order of slots does not change
what a block computes. Layouts are checked by that before use (`layercliff.models.merged_weights.prove`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from layercliff.errors import ModelError
from layercliff.models.anatomy import text_config
from layercliff.models.merged_blocks import SlotOrigin

SlotKind = Literal["heads", "channels"]
KINDS: tuple[SlotKind, ...] = ("heads", "channels")

ATTENTION = ("self_attn", "attn", "attention", "self_attention")
READ: Mapping[SlotKind, Mapping[str, int]] = {
    "heads": {"q_proj": 1, "k_proj": 1, "v_proj": 1, "query_key_value": 1, "c_attn": 3, "qkv_proj": 0},
    "channels": {"gate_proj": 1, "up_proj": 1, "fc1": 1, "c_fc": 1, "dense_h_to_4h": 1, "gate_up_proj": 2},
}
"""Modules that compute slots from the stream, with the number of equal parts laid end to end.

0 stands for queries, keys and values of different widths.
"""
WRITE: Mapping[SlotKind, tuple[str, ...]] = {
    "heads": ("o_proj", "out_proj", "dense", "c_proj"),
    "channels": ("down_proj", "fc2", "c_proj", "dense_4h_to_h"),
}
"""Modules that add slots to the stream."""


@dataclass(frozen=True)
class SlotLayout:
    """How slots lie along `axis` of a parameter.

    The axis holds parts of the widths `parts`. Each is cut into `count` equal pieces, one per slot.
    """

    kind: SlotKind
    axis: int
    parts: tuple[int, ...]
    count: int

    def gather(self, same: Mapping[int, Tensor], origins: Sequence[SlotOrigin]) -> Tensor:
        """The parameter made of the slots in `origins`, taken from the blocks' parameters `same`."""
        found, begin = [], 0
        for width in self.parts:
            size = width // self.count
            pieces = [same[block].narrow(self.axis, begin + slot * size, size) for block, slot in origins]
            found.append(torch.cat(pieces, self.axis))
            begin += width
        return torch.cat(found, self.axis)


def layout(network: PreTrainedModel, block: nn.Module) -> dict[str, SlotLayout | None]:
    """The slots that each parameter of attention and MLP holds. None for a parameter of no slot.

    The block's own norms are left out. Raises `ModelError` saying what was not understood.
    """
    writers = {kind: writer(block, kind) for kind in KINDS}
    found: dict[str, SlotLayout | None] = {}
    for path, module in block.named_modules():
        kind, leaf = _kind(path), path.rpartition(".")[2]
        written = _width(writers[kind], "in")
        count = written if kind == "channels" else groups(network)
        if module is writers[kind]:
            parts: tuple[int, ...] = (written,)
            found |= {f"{path}.weight": SlotLayout(kind, _axis(module, "in"), parts, count), f"{path}.bias": None}
        elif _is_matrix(module) and leaf in READ[kind]:
            parts = _parts(READ[kind][leaf], _width(module, "out"), written)
            found |= {
                f"{path}.weight": SlotLayout(kind, _axis(module, "out"), parts, count),
                f"{path}.bias": SlotLayout(kind, 0, parts, count),
            }
        else:
            continue
        if any(width % count for width in parts):
            raise _not_understood(block, f"{path} holds {parts} values for {count} slots")
    for name, parameter in block.named_parameters():
        if name not in found and parameter.ndim > 1:
            raise _not_understood(block, f"its weight {name} is not known")
        if name not in found and name.partition(".")[0] in (*ATTENTION, "mlp"):
            found[name] = None
    return found


def writer(block: nn.Module, kind: SlotKind) -> nn.Module:
    """The module that adds a block's heads or channels to the stream.

    Raises `ModelError` where there is none, or more than one (a mixture of experts).
    """
    found: list[nn.Module] = [
        module
        for path, module in block.named_modules()
        if _is_matrix(module) and _kind(path) == kind and path.rpartition(".")[2] in WRITE[kind]
    ]
    if len(found) != 1:
        raise _not_understood(block, f"{len(found) or 'no'} known modules add {kind} to the stream")
    return found[0]


def groups(network: PreTrainedModel) -> int:
    """The number of groups of heads that share keys and values."""
    config = text_config(network.config)
    return int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)


def sensitivity(module: nn.Module) -> Tensor:
    """The sum of absolute weights of a writer, per channel it reads, in float32 (CoMe)."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight.detach().float().abs().sum(_axis(module, "out"))


def _not_understood(block: nn.Module, why: str) -> ModelError:
    return ModelError(
        f"How heads and channels lie in the weights of a {type(block).__name__} is not understood ({why}): use "
        "another criterion than come."
    )


def _is_matrix(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | Conv1D)


def _kind(path: str) -> SlotKind:
    return "heads" if path.partition(".")[0] in ATTENTION else "channels"


def _axis(module: nn.Module, side: Literal["in", "out"]) -> int:
    """A linear layer's weight is ``[out, in]``. A Conv1D's is ``[in, out]``."""
    return int(isinstance(module, Conv1D) == (side == "out"))


def _width(module: nn.Module, side: Literal["in", "out"]) -> int:
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight.shape[_axis(module, side)]


def _parts(number: int, width: int, written: int) -> tuple[int, ...]:
    """Equal widths; or queries as wide as the output, with keys and values sharing the rest."""
    if number:
        return (width // number,) * number
    return (written, (width - written) // 2, (width - written) // 2)
