"""The fields of a configuration that describe single blocks."""

from typing import Any

from transformers import PretrainedConfig

from layercliff.models import quirks
from layercliff.models.anatomy import text_config
from layercliff.models.surgery import COUNTS, INDEX_LISTS, NOT_OF_BLOCKS, has_entry_per_block

BlockValues = tuple[Any, ...]


def per_block(config: PretrainedConfig) -> dict[str, BlockValues]:
    """The configuration fields that describe single blocks, as one value per block.

    * A list with an entry per block is taken as it is.
    * A list of indices becomes: is the block in it?
    * A count of first blocks becomes: is the block among them?
    * ``decoder_sparse_step`` becomes: is the block the n-th?

    ``max_window_layers`` is left out. ``layer_types`` follows from it and says whether windows are used at all.
    """
    inner = text_config(config)
    count = quirks.block_count(inner)
    found: dict[str, BlockValues] = {}
    for name, value in vars(inner).items():
        if name.startswith("__") or name in NOT_OF_BLOCKS:
            continue
        if name in INDEX_LISTS and isinstance(value, list | tuple):
            found[name] = tuple(index in value for index in range(count))
        elif name in COUNTS and isinstance(value, int) and name != "max_window_layers":
            found[name] = tuple(index < value for index in range(count))
        elif isinstance(value, list | tuple):
            found |= {name: tuple(value)} if has_entry_per_block(inner, name) else {}
        elif name == "hybrid_override_pattern" and len(value or ()) == count:
            found[name] = tuple(value)
        elif name == "decoder_sparse_step" and isinstance(value, int) and value > 1:
            found[name] = tuple((index + 1) % value == 0 for index in range(count))
    return found


def lists(config: PretrainedConfig) -> tuple[str, ...]:
    """The fields that hold one entry per block."""
    inner = text_config(config)
    return tuple(
        name
        for name in per_block(config)
        if name not in INDEX_LISTS
        and isinstance(value := getattr(inner, name), list | tuple)
        and len(value) == quirks.block_count(inner)
    )


def mixed(values: BlockValues) -> bool:
    """Whether blocks differ."""
    return any(value != values[0] for value in values)
