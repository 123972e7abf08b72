"""A model with fewer blocks: the list, the configuration's per-block fields and each block's index change together."""

import copy
import functools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from layercliff.errors import ModelError
from layercliff.models import merged_weights, quirks
from layercliff.models.anatomy import find_blocks, text_config
from layercliff.models.merged_blocks import NOTHING, Blends

INDEX_LISTS = (
    "mlp_only_layers",
    "moe_layers",
    "full_attn_idxs",
    "cross_attention_layers",
    "attn_layer_indices",
    "local_layer_ids",
    "rope_scaling_layers",
    "hybrid_layer_ids",
)  # hold dense indices
COUNTS = (
    "first_k_dense_replace",
    "num_dense_layers",
    "max_window_layers",
    "moe_layer_start_index",
)  # how many of the first blocks
LAST = {
    "moe_layer_end_index": "moe_layer_start_index"
}  # the last block of a run, and the field that counts those before it
PERIODS = ("moe_layer_freq", "moe_layer_interval", "attn_layer_period", "expert_layer_period")  # every n-th block
COPIES = ("num_blocks", "decoder_layers")  # the number of blocks once more
SHARED = ("num_kv_shared_layers",)  # the last n blocks use another block's keys and values
BY_PLACE = ("scale_attn_by_inverse_layer_idx",)  # switches on a constant that depends on a block's place
BY_ROOT = ("scale_depth",)  # is divided by the root of the number of blocks
NOT_OF_BLOCKS = ("eos_token_id", "architectures")
INDEX = re.compile(r"(idx|index|id|number)$")


@dataclass(frozen=True)
class IndexRule:
    """How a number in a block follows from the block's place: ``times * place + plus``."""

    times: int
    plus: int

    def at(self, place: int) -> int:
        """The number at a place."""
        return self.times * place + self.plus


def indices(blocks: nn.ModuleList) -> dict[tuple[str, str], IndexRule]:
    """The numbers in `blocks` that say where a block stands, by module path inside the block and name."""
    values: dict[tuple[str, str], dict[int, int]] = {}
    for place, block in enumerate(blocks):
        for path, module in block.named_modules():
            for name, value in vars(module).items():
                if INDEX.search(name) and isinstance(value, int) and not isinstance(value, bool):
                    values.setdefault((path, name), {})[place] = value
    found = {key: _index(key[1], at) for key, at in values.items()}
    return {key: index for key, index in found.items() if index is not None}


def _index(name: str, at: Mapping[int, int]) -> IndexRule | None:
    (first, value), *others = at.items()
    times = (others[0][1] - value) // (others[0][0] - first) if others else 1
    index = IndexRule(times, value - times * first)
    if times > 0 and all(index.at(place) == there for place, there in at.items()) and (others or index.plus == 0):
        return index
    return IndexRule(1, 0) if name == "layer_idx" else None


def cut(network: PreTrainedModel, kept: Sequence[int], blends: Blends = NOTHING) -> None:
    """Keep only the blocks `kept` (dense indices) of `network`, for good. Those in `blends` get merged weights.

    The configuration becomes a copy with every per-block field sliced. Submodules that know their block's index are
    renumbered, so that cached generation and ``save_pretrained`` work. Raises `ModelError`, and changes nothing,
    where the configuration cannot express the pruning or blocks cannot be merged.
    """
    path, blocks = find_blocks(network)
    owner = network.get_submodule(path.rpartition(".")[0])
    old = network.config
    config = sliced(old, kept)
    merged_weights.apply(merged_weights.make(network, blends))
    known = indices(blocks)
    chosen = [blocks[index] for index in kept]
    setattr(owner, path.rpartition(".")[2], nn.ModuleList(chosen))
    for place, block in enumerate(chosen):
        for path, module in block.named_modules():
            for name in module.__dict__.keys() & {name for at, name in known if at == path}:
                module.__dict__[name] = known[path, name].at(place)
    inner = {id(old): config, id(text_config(old)): text_config(config)}
    for module in network.modules():
        own = module.__dict__.get("config")
        if id(own) in inner:
            module.__dict__["config"] = inner[id(own)]


@contextmanager
def pruned(network: PreTrainedModel, kept: Sequence[int], blends: Blends = NOTHING) -> Iterator[None]:
    """Make `network` what `cut` makes of it, for a while. Afterwards it is the dense network again, whatever
    happened.

    The very same objects come back: block list, configurations, indices and weights. No weight is copied. Raises
    `ModelError` as `cut` does.
    """
    path, blocks = find_blocks(network)
    owner = network.get_submodule(path.rpartition(".")[0])
    names = {"config", *(name for _, name in indices(blocks))}
    before = [
        (module.__dict__, name, module.__dict__[name])
        for module in network.modules()
        for name in names & module.__dict__.keys()
    ]
    with merged_weights.blended(network, blends):
        try:
            cut(network, kept)
            yield
        finally:
            setattr(owner, path.rpartition(".")[2], blocks)
            for attributes, name, value in before:
                attributes[name] = value


def sliced(config: PretrainedConfig, kept: Sequence[int]) -> PretrainedConfig:
    """A copy of `config` for a model of the blocks `kept`. The original stays as it is: blocks share it.

    Raises `ModelError` naming the field that cannot express the pruning.
    """
    found = copy.deepcopy(config)
    inner = text_config(found)
    dense = quirks.block_count(inner)
    if tuple(kept) == tuple(range(dense)):
        return found
    fields = {name: value for name, value in vars(inner).items() if not name.startswith("__")}
    _refuse(fields, kept)
    changed = _counted(fields, kept) | _rescaled(fields, dense, kept) | _patterns(fields, dense, kept)
    place = {index: position for position, index in enumerate(kept)}
    for name, value in fields.items():
        if name in INDEX_LISTS and isinstance(value, list | tuple):
            changed[name] = type(value)(place[index] for index in value if index in place)
        elif isinstance(value, list | tuple) and has_entry_per_block(inner, name):
            changed[name] = type(value)(value[index] for index in kept)
        elif name == "hybrid_override_pattern" and isinstance(value, str) and len(value) == dense:
            changed[name] = "".join(value[index] for index in kept)
    changed |= _sparse_period(fields, kept)
    if isinstance(fields.get("attention_types"), list | tuple) and "attention_layers" in changed:
        changed["attention_types"] = [[[kind], 1] for kind in changed["attention_layers"]]  # the list is made of it
    changed |= {name: len(kept) for name in COPIES if fields.get(name) == dense}
    for name, value in changed.items():
        setattr(inner, name, value)
    inner.num_hidden_layers = inner.num_hidden_layers // dense * len(kept)  # some count parts of blocks there
    setattr(inner, quirks.count_field(inner), len(kept))
    if getattr(inner, "is_heterogeneous", False):
        overrides = {int(index): own for index, own in text_config(config).to_dict()["per_layer_config"].items()}
        inner.per_layer_config = {place[index]: own for index, own in overrides.items() if index in place}
    return found


def has_entry_per_block(config: PretrainedConfig, name: str) -> bool:
    """Whether the list `name` of a configuration holds one entry per block.

    A list may have that length by chance. So its length is looked up in configurations of the same class with other
    numbers of blocks. Where they have no such list, the length decides.
    """
    value, count = vars(config)[name], quirks.block_count(config)
    if name in NOT_OF_BLOCKS or name in INDEX_LISTS or len(value) != count:
        return False
    of_class: Any = type(config)
    lengths = [_lengths(of_class, other).get(name) for other in (count + 1, count + 2)]
    return lengths != [count, count]


@functools.lru_cache(maxsize=64)
def _lengths(kind: Any, count: int) -> dict[str, int]:
    """The lengths of the lists of a configuration with `count` blocks, where one can be made."""
    try:
        made = kind(num_hidden_layers=count)
    except (AttributeError, IndexError, KeyError, StrictDataclassError, TypeError, ValueError):
        return {}
    if made.num_hidden_layers != count:
        return {}
    return {name: len(value) for name, value in vars(made).items() if isinstance(value, list | tuple)}


def _refuse(fields: Mapping[str, Any], kept: Sequence[int]) -> None:
    """Refuse fields by which blocks would change at their new places. Raises `ModelError`."""
    moved = [index - place for place, index in enumerate(kept)]
    for name in SHARED:
        if fields.get(name):
            raise ModelError(
                f"The configuration field {name} = {fields[name]} lets blocks share keys and values by position: "
                "this model cannot be pruned by blocks."
            )
    for name in PERIODS:
        if isinstance(fields.get(name), int) and fields[name] > 1 and any(by % fields[name] for by in moved):
            raise ModelError(
                f"The configuration field {name} = {fields[name]} counts blocks by position: "
                "it cannot express this pruning."
            )
    for name in BY_PLACE:
        if fields.get(name) and any(moved):
            raise ModelError(
                f"The configuration field {name} = {fields[name]} scales a block by its position: "
                "it cannot express this pruning."
            )


def _counted(fields: Mapping[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """Counts of first blocks, and the last block of a run."""
    found = {
        name: sum(index < value for index in kept)
        for name, value in fields.items()
        if name in COUNTS and isinstance(value, int)
    }
    for name, before in LAST.items():
        if isinstance(value := fields.get(name), int) and value >= 0:
            found[name] = sum(index <= value for index in kept) - 1
            if found[name] < found.get(before, 0):  # a run that holds nothing lies behind the last block
                found |= {name: len(kept), before: len(kept)}
    return found


def _rescaled(fields: Mapping[str, Any], dense: int, kept: Sequence[int]) -> dict[str, float]:
    """Fields divided by the root of the number of blocks: the quotient stays."""
    found = {}
    for name in BY_ROOT:
        if isinstance(value := fields.get(name), int | float):
            quotient = value / math.sqrt(dense)
            near = quotient * math.sqrt(len(kept))
            tried = (near, math.nextafter(near, 0), math.nextafter(near, math.inf))
            found[name] = next((t for t in tried if t / math.sqrt(len(kept)) == quotient), near)
    return found


def _patterns(fields: Mapping[str, Any], dense: int, kept: Sequence[int]) -> dict[str, Any]:
    """A pattern that repeats along the blocks, written out."""
    pattern = fields.get("block_types")
    if not isinstance(pattern, list | tuple) or not pattern:
        return {}
    return {"block_types": type(pattern)(pattern[index % len(pattern)] for index in kept)}


def _sparse_period(fields: dict[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """A mixture of experts in every n-th block, written as the indices of the other blocks."""
    period = fields.get("decoder_sparse_step")
    if not isinstance(period, int) or period <= 1:
        return {}
    dense = set(fields.get("mlp_only_layers") or ())
    without = [position for position, index in enumerate(kept) if index in dense or (index + 1) % period]
    return {"decoder_sparse_step": 1, "mlp_only_layers": without}
