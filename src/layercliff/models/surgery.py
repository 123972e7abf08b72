"""A model with other blocks: the list, the configuration's per-layer fields and every block's own index follow together."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from layercliff.errors import ModelError
from layercliff.models import blending
from layercliff.models.anatomy import find_blocks, text_config
from layercliff.models.blend import NOTHING, Blends

INDEX_LISTS = (
    "mlp_only_layers", "moe_layers", "full_attn_idxs", "cross_attention_layers", "attn_layer_indices", "local_layer_ids", "rope_scaling_layers"
)  # hold dense indices  # fmt: skip
COUNTS = ("first_k_dense_replace", "num_dense_layers", "max_window_layers")  # how many of the first blocks
PERIODS = ("moe_layer_freq", "moe_layer_interval", "attn_layer_period", "expert_layer_period")  # every n-th block
SHARED = ("num_kv_shared_layers",)  # the last n blocks use another block's keys and values


def cut(network: PreTrainedModel, kept: Sequence[int], blends: Blends = NOTHING) -> None:
    """Leave `network` with the blocks of the dense indices `kept`, those in `blends` with merged weights, for good.

    Its configuration becomes a copy with every per-layer field sliced, and every submodule that knows its block's index is
    renumbered, so that cached generation and ``save_pretrained`` work. Raises `ModelError` where the configuration cannot express the
    pruning or blocks cannot be merged, and changes nothing then.
    """
    path, blocks = find_blocks(network)
    owner = network.get_submodule(path.rpartition(".")[0])
    old = network.config
    config = sliced(old, kept)
    blending.apply(blending.make(network, blends))
    chosen = [blocks[index] for index in kept]
    setattr(owner, path.rpartition(".")[2], nn.ModuleList(chosen))
    for position, block in enumerate(chosen):
        for module in block.modules():
            if isinstance(module.__dict__.get("layer_idx"), int):
                module.__dict__["layer_idx"] = position
    inner = {id(old): config, id(text_config(old)): text_config(config)}
    for module in network.modules():
        own = module.__dict__.get("config")
        if id(own) in inner:
            module.__dict__["config"] = inner[id(own)]


@contextmanager
def pruned(network: PreTrainedModel, kept: Sequence[int], blends: Blends = NOTHING) -> Iterator[None]:
    """While this lasts, `network` is what `cut` makes of it; afterwards it is the dense network again, whatever happened.

    The list of blocks, every module's configuration object, every block's own index and every weight come back as the very same objects; no
    weight is copied. Raises `ModelError` as `cut` does.
    """
    path, blocks = find_blocks(network)
    owner = network.get_submodule(path.rpartition(".")[0])
    before = [
        (module.__dict__, name, module.__dict__[name])
        for module in network.modules()
        for name in ("layer_idx", "config")
        if name in module.__dict__
    ]
    with blending.blended(network, blends):
        try:
            cut(network, kept)
            yield
        finally:
            setattr(owner, path.rpartition(".")[2], blocks)
            for attributes, name, value in before:
                attributes[name] = value


def sliced(config: PretrainedConfig, kept: Sequence[int]) -> PretrainedConfig:
    """A copy of `config` for a model that keeps only the blocks `kept`. The original is left alone: blocks share it.

    Raises `ModelError` naming the field that cannot express the pruning.
    """
    found = copy.deepcopy(config)
    inner = text_config(found)
    dense = inner.num_hidden_layers
    place = {index: position for position, index in enumerate(kept)}
    fields = {name: value for name, value in vars(inner).items() if not name.startswith("__")}
    for name in SHARED:
        if fields.get(name):
            raise ModelError(
                f"The configuration field {name} = {fields[name]} lets blocks share keys and values by position: this model cannot be pruned by blocks."
            )
    for name in PERIODS:
        if isinstance(fields.get(name), int) and fields[name] > 1:
            raise ModelError(
                f"The configuration field {name} = {fields[name]} counts blocks by position: it cannot express this pruning."
            )
    changed: dict[str, Any] = {}
    for name, value in fields.items():
        if name in INDEX_LISTS and isinstance(value, list | tuple):
            changed[name] = type(value)(place[index] for index in value if index in place)
        elif name in COUNTS and isinstance(value, int):
            changed[name] = sum(index < value for index in kept)
        elif isinstance(value, list | tuple) and len(value) == dense and name != "eos_token_id":
            changed[name] = type(value)(value[index] for index in kept)
        elif name == "hybrid_override_pattern" and isinstance(value, str) and len(value) == dense:
            changed[name] = "".join(value[index] for index in kept)
    changed |= _sparse_period(fields, kept)
    for name, value in changed.items():
        setattr(inner, name, value)
    inner.num_hidden_layers = len(kept)
    return found


def _sparse_period(fields: dict[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """A mixture of experts in every n-th block, said without the period: the other blocks' indices."""
    period = fields.get("decoder_sparse_step")
    if not isinstance(period, int) or period <= 1:
        return {}
    dense = set(fields.get("mlp_only_layers") or ())
    without = [position for position, index in enumerate(kept) if index in dense or (index + 1) % period]
    return {"decoder_sparse_step": 1, "mlp_only_layers": without}
