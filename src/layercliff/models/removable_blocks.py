"""Which blocks can be removed so that the rest can be saved.

What a model does with a block may depend on its place or on the number of blocks. No list of fields holds every such
case. So the smaller model is built as a reload would build it, with the weights in memory, and compared block by
block.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from accelerate import init_empty_weights  # type: ignore[import-untyped]
from huggingface_hub.errors import StrictDataclassError
from jaxtyping import Float
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel
from transformers.initialization import no_init_weights

from layercliff.errors import ModelError
from layercliff.models import loading
from layercliff.models.anatomy import Anatomy, find_blocks, text_config
from layercliff.models.block_constants import BlockSignature, kind_of, other_arguments, other_constants
from layercliff.models.model import Model
from layercliff.models.precision import ROUNDING
from layercliff.models.reload_check import cache_divergence
from layercliff.models.surgery import pruned, sliced

FAILURES = (
    AssertionError,
    AttributeError,
    ImportError,
    IndexError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    StrictDataclassError,
    TypeError,
    ValueError,
)
"""What building or running a model may raise where its configuration cannot express the pruning."""
SAME = {torch.float32: 2e-5, torch.float64: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
"""How far the same blocks in the same order may differ, as a share of the largest logit."""
PROBE = 8  # tokens
GENERATED = 4  # tokens after them, with and without a cache
LONGEST = 4098  # tokens of the trial that shows windows
DRAWS = 4  # random sets of blocks that are tried together


@dataclass(frozen=True)
class RemovableBlocks:
    """`stay` holds the blocks that cannot be removed, each with the reason. All others can, in any order.

    `unfit` says why not even the whole model can be exported, if so.
    """

    stay: Mapping[int, str] = field(default_factory=dict)
    unfit: str | None = None

    def __str__(self) -> str:
        """What to know before a path is run, in a sentence, or nothing."""
        told = "" if self.unfit is None else f"No checkpoint of a step can be exported: {self.unfit}."
        if not self.stay:
            return told
        blocks = ", ".join(map(str, self.stay))
        first = next(iter(self.stay))
        several = len(self.stay) > 1
        return (
            f"Block{'s' * several} {blocks} stay{'' if several else 's'}, since a checkpoint without "
            f"{'them' if several else 'it'} would be "
            f"another model: {self.stay[first]}. {told}"
        ).rstrip()


_known: WeakKeyDictionary[PreTrainedModel, tuple[PretrainedConfig, RemovableBlocks]] = WeakKeyDictionary()


def removable_blocks(model: Model) -> RemovableBlocks:
    """Which blocks of `model` may be removed. Tried once per network. Raises `ModelError` where none may."""
    config, found = _known.get(model.network, (None, RemovableBlocks()))
    if config is not model.network.config:  # a network that has been cut has another one
        found = _removal(model)
        _known[model.network] = model.network.config, found
    if len(found.stay) == model.n_layers > 1:
        raise ModelError(f"No block of {model.name} can be taken out: {found.stay[0]}.")
    return found


@torch.inference_mode()
def _removal(model: Model) -> RemovableBlocks:
    count = model.n_layers
    every = tuple(range(count))
    try:
        kind = loading.auto_class(model.name, model.network.config)
        trials = _Trials(model.network, model.anatomy)
    except (ModelError, *FAILURES) as error:
        return RemovableBlocks(unfit=_first_line(error))
    if (wrong := _other_class(kind, model.network) or trials.fault(every)) is not None:
        return RemovableBlocks(unfit=wrong)
    unfit = None if trials.generates else "the model itself does not generate with a cache"
    sets = [every[1::2], every[::2], *_without_kinds(trials.kinds)]
    if all(trials.fault(kept) is None for kept in sets if kept):
        return RemovableBlocks(unfit=unfit)
    return RemovableBlocks(_staying(trials, count), unfit)


def _other_class(kind: Any, network: PreTrainedModel) -> str | None:
    """Why a checkpoint of `network` would load as another class, in a clause; or None."""
    mapped = kind._model_mapping.get(type(network.config), type(network))
    classes = tuple(mapped) if isinstance(mapped, list | tuple) else (mapped,)
    if isinstance(network, classes):
        return None
    return f"a directory of it is loaded as {classes[0].__name__}, not as {type(network).__name__}"


def _staying(trials: "_Trials", count: int) -> dict[int, str]:
    """The blocks to keep so that any of the others can go together.

    First those that cannot go alone, then as few more as random sets ask for.
    """
    every = range(count)
    stay: dict[int, str] = {}
    for block in every:
        if (reason := trials.fault(tuple(b for b in every if b != block))) is not None:
            stay[block] = reason
    generator = np.random.default_rng(0)
    while len(stay) < count:
        free = [block for block in every if block not in stay]
        draws = [generator.permutation(free)[: len(free) // 2].tolist() for _ in range(DRAWS)]
        sets: list[list[int]] = [free, free[1:], free[::2], *draws]
        tried = [
            (gone, trials.fault(tuple(b for b in every if b not in gone))) for gone in sets if 0 < len(gone) < count
        ]
        tried += [
            ([b for b in free if b not in kept], trials.fault(tuple(sorted({*stay, *kept}))))
            for kept in _without_kinds(trials.kinds)
        ]
        wrong = [(gone, reason) for gone, reason in tried if reason is not None and gone]
        if not wrong:
            break
        gone, reason = min(wrong, key=lambda found: len(found[0]))
        stay[max(gone)] = reason
    return dict(sorted(stay.items()))


def _without_kinds(kinds: Sequence[BlockSignature]) -> list[tuple[int, ...]]:
    """For each kind of block, where there are several: all other blocks."""
    several = dict.fromkeys(kinds) if len(set(kinds)) > 1 else {}
    return [tuple(block for block, other in enumerate(kinds) if other != kind) for kind in several]


def unwritable(kind: Any, config: PretrainedConfig, kept: Sequence[int], trust_remote_code: bool = False) -> str | None:
    """Why a model of the blocks `kept` cannot be saved, as far as its configuration tells, in a clause; or None.

    `kind` is the automatic class of transformers that loads it. No weight is read.
    """
    try:
        smaller = sliced(config, kept)
        with _weightless():
            dense = kind.from_config(config, trust_remote_code=trust_remote_code)
    except ModelError as error:
        return _clause(str(error))
    except FAILURES:
        return None  # nothing can be said of what cannot be built
    try:
        small = _built(dense, smaller)
    except FAILURES as error:
        return f"it cannot be built again ({_first_line(error)})"
    _, lacking = _renamed(dense, small, kept)
    return lacking or other_constants(dense, small, kept)


class _Trials:
    """Builds a network without some of its blocks, and compares."""

    def __init__(self, network: PreTrainedModel, anatomy: Anatomy) -> None:
        self.network, self.anatomy = network, anatomy
        self.fresh = _built(network, network.config)
        device = next(network.parameters()).device
        vocabulary = min(anatomy.unembedding.vocabulary, text_config(network.config).vocab_size)
        self.ids = torch.arange(3, 3 + PROBE, device=device)[None] % vocabulary
        self.long = torch.full((1, _seen(text_config(network.config))), 3, device=device) % vocabulary
        self.passage = anatomy.enter(self.ids)
        self.calls = anatomy.enter(self.long).calls[0]
        self.kinds = [kind_of(block) for block in find_blocks(self.fresh)[1]]
        self.generates = True
        self.tried: dict[tuple[int, ...], str | None] = {}

    def fault(self, kept: tuple[int, ...]) -> str | None:
        """Why a model of the blocks `kept` cannot be saved, in a clause, or None."""
        if kept not in self.tried:
            self.tried[kept] = self._fault(kept)
        return self.tried[kept]

    def _fault(self, kept: tuple[int, ...]) -> str | None:
        try:
            small = _built(self.network, sliced(self.network.config, kept))
            state, lacking = _renamed(self.network, small, kept)
            if (wrong := lacking or other_constants(self.fresh, small, kept)) is not None:
                return wrong
            small.load_state_dict(state, strict=False, assign=True)
            self._same_buffers(small)
            small = small.to(self.ids.device).eval()
            return self._other_calls(small, kept) or self._other_logits(small, kept) or self._cut_otherwise(kept)
        except ModelError as error:
            return _clause(str(error))
        except FAILURES as error:
            return f"what is left cannot be built or run ({_first_line(error)})"

    def _same_buffers(self, small: PreTrainedModel) -> None:
        """Outside the blocks, take over the buffers in memory that are not saved."""
        path = f"{self.anatomy.blocks_path}."
        own = dict(self.network.named_buffers())
        for name, buffer in small.named_buffers():
            if not name.startswith(path) and name in own and own[name].shape == buffer.shape:
                owner, _, last = name.rpartition(".")
                small.get_submodule(owner)._buffers[last] = own[name]

    def _other_calls(self, small: PreTrainedModel, kept: Sequence[int]) -> str | None:
        """The first block that would be called differently: masks of windows, positions."""
        found = self._dissected(small).enter(self.long).calls[0]
        for place, index in enumerate(kept):
            names = other_arguments(self.anatomy.blocks[index], self.calls[index], found[place])
            if names:
                return f"block {index}, in place {place}, would be called with another {names[0]}"
        return None

    def _dissected(self, small: PreTrainedModel) -> Anatomy:
        """The same parts in another network."""
        names = {id(module): name for name, module in self.network.named_modules()}
        around = tuple(small.get_submodule(names[id(part)]) for part in self.anatomy.around_blocks)
        blocks = find_blocks(small)[1]
        return replace(self.anatomy, backbone=small.base_model, blocks=blocks, around_blocks=around)

    def _other_logits(self, small: PreTrainedModel, kept: Sequence[int]) -> str | None:
        wanted = self._logits(kept)
        with self._dissected(small).computing():
            found = small(input_ids=self.ids, use_cache=False).logits[0].float()
            if (off := _apart(found, wanted)) > SAME[self.anatomy.dtype]:
                return f"what is left computes something else when it is built again (by {off:.1e} of its logits)"
            if not self.generates:
                return None
            try:
                off, said = cache_divergence(small, self.ids[0], GENERATED), "it takes another token than without one"
            except FAILURES as error:
                off, said = float("inf"), _first_line(error)
        if off <= ROUNDING[str(self.anatomy.dtype).removeprefix("torch.")]:
            return None
        if len(kept) == len(self.anatomy.blocks):
            self.generates = False  # nor does the dense model
            return None
        return f"what is left does not generate with a cache ({said})"

    def _cut_otherwise(self, kept: Sequence[int]) -> str | None:
        """Compare the network in memory, which an export is compared with."""
        with pruned(self.network, kept), self.anatomy.computing():
            found = self.network(input_ids=self.ids, use_cache=False).logits[0].float()
        if (off := _apart(found, self._logits(kept))) > SAME[self.anatomy.dtype]:
            return f"the network without them computes something else (by {off:.1e} of its logits)"
        return None

    def _logits(self, kept: Sequence[int]) -> Float[Tensor, "position vocabulary"]:
        """The logits of the blocks `kept`, run one by one."""
        unembedding = self.anatomy.unembedding
        with self.anatomy.computing():
            *_, (_, last) = self.passage.depths(kept)
        return unembedding.vocabulary_logits(unembedding.normed(last[0]), 0, unembedding.vocabulary).float()


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max().clamp_min(1e-6))


def _seen(config: PretrainedConfig) -> int:
    """The sequence length that shows the windows of a configuration."""
    windows = [
        value
        for name, value in vars(config).items()
        if re.search("window|chunk", name) and isinstance(value, int) and not isinstance(value, bool)
    ]
    longest = getattr(config, "max_position_embeddings", None) or LONGEST
    return int(min(LONGEST, longest, max([PROBE, *(value + 2 for value in windows if value + 2 <= LONGEST)])))


@contextmanager
def _weightless() -> Iterator[None]:
    """Build models without memory for weights. Buffers are real."""
    with no_init_weights(), init_empty_weights(include_buffers=False):
        yield


def _built(like: PreTrainedModel, config: PretrainedConfig) -> PreTrainedModel:
    """A network of the class of `like`, without weights, as a reload makes it from a saved configuration."""
    content = type(config)._decode_special_floats(
        json.loads(config.to_json_string())
    )  # infinity has a notation of its own
    written = type(config).from_dict(content)
    written._attn_implementation = like.config._attn_implementation
    with _weightless():
        made: PreTrainedModel = type(like)._from_config(written, dtype=like.dtype)  # type: ignore[no-untyped-call]
    return made.eval()  # type: ignore[no-untyped-call, no-any-return]


def _renamed(
    dense: PreTrainedModel, small: PreTrainedModel, kept: Sequence[int]
) -> tuple[dict[str, Tensor], str | None]:
    """The dense state under the names that the blocks `kept` have in `small`, and what does not fit, in a clause."""
    path = f"{find_blocks(dense)[0]}."
    place = {index: position for position, index in enumerate(kept)}
    state = {}
    for name, tensor in dense.state_dict().items():
        if not name.startswith(path):
            state[name] = tensor
            continue
        index, _, rest = name.removeprefix(path).partition(".")
        if int(index) in place:
            state[f"{path}{place[int(index)]}.{rest}"] = tensor
    wanted = small.state_dict()
    for name in dict.fromkeys((*state, *wanted)):
        if name not in state or name not in wanted:
            return state, f"the tensor {name} would be {'missing' if name not in state else 'unexpected'}"
        if state[name].shape != wanted[name].shape:
            shapes = f"{tuple(state[name].shape)} instead of {tuple(wanted[name].shape)}"
            return state, f"the tensor {name} holds something for every block: its shape would be {shapes}"
    return state, None


def _clause(sentence: str) -> str:
    """A sentence to be put inside another."""
    return sentence.rstrip(".")


def _first_line(error: BaseException) -> str:
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200].rstrip(".")
    return f"there is no {line}" if isinstance(error, KeyError) else line
