"""Whether a checkpoint's tensors are those of its model."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn
from transformers import PretrainedConfig

from layercliff.errors import ModelError
from layercliff.models import quirks
from layercliff.models.anatomy import text_config
from layercliff.models.checkpoint_files import StoredTensor

HARMLESS = re.compile(
    r"(^|\.)(original_)?inv_freq$|(^|\.)(cos|sin)_cached$"  # rotary caches, which every model computes for itself
    r"|(^|\.)(position_ids|embeddings\.token_type_ids)$"  # buffers of older versions
    r"|(^|\.)(mtp|mtp_layers|mtp_block|mtp_head|nextn)\."  # further heads that guess the tokens after the next
    r"|(^|\.)(input|activation|[qkv]|prob|output)_scale$"  # of activations, which are not quantised here
)
MASK = re.compile(r"(^|\.)(attn|attention|self_attn)\.(bias|masked_bias)$")  # the causal mask of GPT-2's time
BLOCK = re.compile(r"(?:^|\.)(?:layers|h|blocks|block|layer)\.(\d+)\.")
SCALES = re.compile(
    r"(_scale|_scale_inv|_scale_2|\.scale|_zero_point|_offset|\.scales|_scales|\.qweight|\.qzeros|\.g_idx|_packed"
    r"|\.absmax|\.quant_map|_blocks|\.SCB|\.quant_state\.\w+)$"
)
FORWARD = ("num_nextn_predict_layers", "num_mtp_layers")  # blocks after the last that guess further tokens
PACKED = re.compile(r"^(F8_|F4|F6|I8$|U8$|I16$|U16$|I32$|U32$|I4|U4)")
UNQUANTISED = "give the model's unquantised weights, or unpack them first."


def check(
    name: str, config: PretrainedConfig, told: Mapping[str, Any], stored: Mapping[str, StoredTensor] | None = None
) -> None:
    """Compare what loading `told` (transformers' loading information) with what the model needs.

    `stored` describes the files' tensors, where there are such files. Raises `ModelError` naming a tensor.
    """
    for key, found, wanted in sorted(told["mismatched_keys"]):
        raise ModelError(
            f"The tensor {key} of {name} has the shape {_size(found)} where its configuration wants {_size(wanted)}: "
            "the two do not belong together; download both again."
        )
    unexpected = sorted(key for key in told["unexpected_keys"] if not _harmless(key, config, stored or {}))
    if scales := [key for key in unexpected if SCALES.search(key)]:
        raise ModelError(
            f"The weights of {name} are quantised and would be read without their scales ({scales[0]} for one), since "
            f"{_method(config)}: {UNQUANTISED}"
        )
    if missing := sorted(told["missing_keys"]):
        raise ModelError(
            f"The checkpoint of {name} lacks {len(missing)} of the model's tensors ({missing[0]} for one): "
            "it is incomplete."
        )
    count = quirks.block_count(text_config(config))
    if beyond := [key for key in unexpected if _block(key) >= count]:
        blocks = 1 + max(_block(key) for key in beyond)
        raise ModelError(
            f"The checkpoint of {name} holds {blocks} blocks and its configuration says {count} ({beyond[0]} for one): "
            "correct num_hidden_layers, or give the files that belong together."
        )
    if unexpected:
        raise ModelError(
            f"The checkpoint of {name} holds {len(unexpected)} tensors that its model does not have ({unexpected[0]} "
            "for one): its configuration is another model's, or names another kind of model."
        )


def check_precision(name: str, network: nn.Module, stored: Mapping[str, StoredTensor], quantised: bool) -> None:
    """Refuse weights that are still packed, and packed weights whose format is not named.

    `quantised` says that the configuration names a format. Raises `ModelError`.
    """
    config: Any = network.config
    if getattr(network, "hf_quantizer", None) is not None:
        raise ModelError(
            f"The weights of {name} stay packed, since {_method(config)} cannot be unpacked here: {UNQUANTISED}"
        )
    for key, parameter in network.named_parameters():
        if not parameter.is_floating_point() or parameter.element_size() < 2:
            kind = str(parameter.dtype).removeprefix("torch.")
            raise ModelError(f"The weight {key} of {name} is stored as {kind}, unscaled: {UNQUANTISED}")
    packed = sorted(key for key, tensor in stored.items() if PACKED.match(tensor.dtype) and len(tensor.shape) > 1)
    packed = [key for key in packed if not (HARMLESS.search(key) or quirks.beside_language(key) or MASK.search(key))]
    if not quantised and packed:
        raise ModelError(
            f"The tensor {packed[0]} of {name} is stored as {stored[packed[0]].dtype} and its config.json says of no "
            f"quantisation how it is to be scaled: {UNQUANTISED}"
        )
    if quantised and (lost := _without_scale(packed, stored)):
        raise ModelError(f"The quantised tensor {lost[0]} of {name} has no scale beside it: {UNQUANTISED}")


def _without_scale(packed: Iterable[str], stored: Mapping[str, StoredTensor]) -> list[str]:
    """8-bit floating-point weights that no other tensor of the file scales."""
    scales = {key for key in stored if SCALES.search(key) or key.endswith(".qscale_weight")}
    owners = {key.rpartition(".")[0] for key in scales} | {re.sub(r"_scale(_inv|_2)?$", "", key) for key in scales}
    return [
        key
        for key in packed
        if stored[key].dtype.startswith("F8_")
        and not SCALES.search(key)
        and key not in owners
        and key.rpartition(".")[0] not in owners
    ]


def _harmless(key: str, config: PretrainedConfig, stored: Mapping[str, StoredTensor]) -> bool:
    """Whether an extra tensor plays no part in what the model computes."""
    if HARMLESS.search(key) or quirks.beside_language(key):
        return True
    if MASK.search(key):
        shape = stored[key].shape if key in stored else ()
        return not shape or (len(shape) == 4 and shape[2:] == (shape[2],) * 2)
    inner = text_config(config)
    count = quirks.block_count(inner)
    further: int = max((getattr(inner, name, None) or 0) for name in FORWARD)
    return count <= _block(key) < count + further


def _block(key: str) -> int:
    """The block that a tensor's name refers to, else -1."""
    found = BLOCK.search(key)
    return int(found[1]) if found else -1


def _method(config: PretrainedConfig) -> str:
    about: Any = getattr(config, "quantization_config", None)
    about = about.to_dict() if hasattr(about, "to_dict") else about or {}
    return f"the quantisation {about['quant_method']}" if "quant_method" in about else "its config.json names no format"


def _size(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape)) or "one number"
