"""What a block holds and is called with besides its weights: numbers, classes, buffers and masks.

These may depend on where the block stands.
"""

from collections.abc import Mapping, Sequence
from inspect import signature
from math import isclose, isnan
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from layercliff.models.anatomy import find_blocks, text_config
from layercliff.models.block_interface import BlockCall
from layercliff.models.surgery import IndexRule, indices

BlockSignature = tuple[Any, ...]


def other_constants(dense: PreTrainedModel, small: PreTrainedModel, kept: Sequence[int]) -> str | None:
    """What changes in a block at its new place or in a smaller model, in a clause. None where nothing does."""
    blocks, others = find_blocks(dense)[1], find_blocks(small)[1]
    known = indices(blocks)
    for place, index in enumerate(kept):
        before = _constants(blocks[index], known, dense.config)
        after = _constants(others[place], known, small.config)
        for name in (*before, *(after.keys() - before.keys())):
            if not _same(before.get(name), after.get(name)):
                return (
                    f"the dense block {index} would be block {place}, with {name} = {_shown(after.get(name))} "
                    f"instead of {_shown(before.get(name))}"
                )
    return None


def _constants(
    block: nn.Module, known: Mapping[tuple[str, str], IndexRule], config: PretrainedConfig
) -> dict[str, Any]:
    """The classes, numbers, buffers and weight shapes of a block.

    Its index is left out. So are lists of the configuration that describe all blocks.
    """
    found: dict[str, Any] = {}
    lists = [value for value in vars(text_config(config)).values() if isinstance(value, list | tuple)]
    for path, module in block.named_modules():
        found[f"{path or 'the block'} of the class"] = type(module).__name__
        for name, value in vars(module).items():
            if (
                (path, name) not in known
                and name != "training"
                and not name.startswith("_")
                and _plain(value)
                and not (isinstance(value, list | tuple) and value in lists)
            ):
                found[f"{path}.{name}".lstrip(".")] = value
        found |= {f"{path}.{n}".lstrip("."): b for n, b in module._buffers.items() if b is not None}
        found |= {f"{path}.{n}".lstrip("."): tuple(p.shape) for n, p in module._parameters.items() if p is not None}
    return found


def _plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str | torch.dtype | Tensor)


def kind_of(block: nn.Module) -> BlockSignature:
    """What tells blocks of different kinds apart: classes and shapes."""
    modules = tuple((path, type(module).__name__) for path, module in block.named_modules())
    return (*modules, *((name, tuple(p.shape)) for name, p in block.named_parameters()))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and (one.is_meta or other.is_meta or torch.equal(one, other.to(one.dtype)))
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=1e-12) or (isnan(one) and isnan(other))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    return type(one) is type(other) and bool(one == other)


def other_arguments(block: nn.Module, one: BlockCall, other: BlockCall) -> list[str]:
    """The names of the arguments that differ, as far as they can be compared."""
    takes = signature(type(block).forward)
    ours, theirs = (dict(takes.bind(block, hidden, *args, **kwargs).arguments) for hidden, args, kwargs in (one, other))
    ours |= ours.pop("kwargs", {})
    theirs |= theirs.pop("kwargs", {})
    return [
        name
        for name in dict.fromkeys((*ours, *theirs))
        if not name.endswith(("idx", "index"))
        and _plain(ours.get(name))
        and _plain(theirs.get(name))
        and not _same(ours.get(name), theirs.get(name))
    ]


def _shown(value: Any) -> str:
    return "other numbers" if isinstance(value, Tensor) else "nothing" if value is None else repr(value)
