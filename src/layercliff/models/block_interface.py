"""How a network calls its blocks: what they take, return and pass on. Seen in a trial run."""

import copy
from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from layercliff.errors import ModelError
from layercliff.models import quirks

ArgumentPlace = int | str
"""Where an argument stands: its number, or its name."""

BlockCall = tuple[Tensor, tuple[Any, ...], dict[str, Any]]
"""A call of a block: the state, the other positional arguments, the named ones."""


@dataclass(frozen=True)
class SideInput:
    """A value that passes from block to block beside the state.

    A block takes it at `place` and returns the next one as part `part`. Where `part` is None, it writes into the
    mapping that it was given.
    """

    place: ArgumentPlace
    part: int | None = None

    def given(self, call: BlockCall) -> Any:
        """The value in a call."""
        _, args, kwargs = call
        return args[self.place - 1] if isinstance(self.place, int) else kwargs.get(self.place)

    def giving(self, call: BlockCall, value: Any) -> BlockCall:
        """The call with another value. A mapping is copied, since blocks write into it."""
        state, args, kwargs = call
        value = copy.copy(value) if self.part is None else value
        if isinstance(self.place, int):
            return state, (*args[: self.place - 1], value, *args[self.place :]), kwargs
        return state, args, {**kwargs, self.place: value}


@dataclass(frozen=True)
class BlockInterface:
    """What the blocks of a network return and pass on.

    `kind` is what they return: a tuple, a list, or None for the bare state. `shapes` holds the other parts, block by
    block, with None for tensors. `leans` names the earlier blocks whose output a block uses.
    """

    kind: type | None = None
    shapes: tuple[tuple[Any, ...], ...] = ()
    beside: tuple[SideInput, ...] = ()
    leans: Mapping[int, frozenset[int]] = field(default_factory=dict)

    def aside(self, index: int, call: BlockCall) -> Any:
        """What block `index` would return if it returned its input."""
        if self.kind is None:
            return call[0]
        parts = [call[0], *self.shapes[index]]
        for one in self.beside:
            if one.part is not None:
                parts[one.part] = one.given(call)
        return self.kind(parts)

    def handed_on(self, call: BlockCall, output: Any) -> tuple[Any, ...]:
        """What passes to the next block beside the state, given what a block returned."""
        return tuple(one.given(call) if one.part is None else output[one.part] for one in self.beside)

    @property
    def must_stay(self) -> tuple[int, ...]:
        """The blocks that others depend on."""
        return tuple(sorted(frozenset[int]().union(*self.leans.values())))

    def check(self, index: int, passed: Sequence[int]) -> None:
        """Check that block `index` depends on no block that was not `passed`. Raises `ModelError`."""
        if missing := sorted(self.leans.get(index, frozenset()) - set(passed)):
            raise ModelError(
                f"Block {missing[0]} cannot be taken out: what it hands on beside the residual stream (shared keys "
                "and values, "
                f"or a choice of tokens) is given to block {index}."
            )

    def check_protected(self, protected: Collection[int]) -> None:
        """Check that the blocks that others depend on are `protected`. Raises `ModelError` before anything is
        removed.
        """
        if set(self.must_stay) - set(protected):
            blocks = ",".join(map(str, sorted({*self.must_stay, *protected})))
            raise ModelError(
                f"What the blocks {', '.join(map(str, self.must_stay))} hand on beside the residual stream (shared "
                "keys and "
                f"values, or a choice of tokens) is given to later blocks: --protect {blocks}."
            )


@dataclass(frozen=True)
class ObservedRun:
    """What a trial run showed: each block's call and output, the modules before the head, the logits."""

    calls: tuple[BlockCall, ...]
    outputs: tuple[Any, ...]
    tail: tuple[nn.Module, ...]
    logits: Tensor
    writes: Mapping[int, frozenset[ArgumentPlace]]
    """The mappings that a block wrote into, by the places where it was given them."""

    @property
    def states(self) -> tuple[Tensor, ...]:
        """Each block's output state."""
        return tuple(hidden_state(output) for output in self.outputs)


def observe(
    network: PreTrainedModel, path: str, blocks: nn.ModuleList, head: nn.Module, ids: Int[Tensor, "1 position"]
) -> ObservedRun:
    """Run `network` on trial tokens and record its blocks.

    Raises `ModelError` naming the block where blocks are not called once, one after another.
    """
    watch = _Observer(blocks)
    with ExitStack() as stack:
        watch.follow(stack, [m for p, m in network.named_modules() if not f"{p}.".startswith(f"{path}.")], head)
        logits = network(input_ids=ids, use_cache=False).logits
    name = type(network).__name__
    for index in range(max(len(blocks), len(watch.order))):
        if list(watch.order[index : index + 1]) != list(range(len(blocks)))[index : index + 1]:
            raise ModelError(
                f"{name} does not run each of its blocks once, one after another, on a text (block "
                f"{min(index, len(blocks) - 1)} "
                f"is the first that differs): it cannot be read block by block; {quirks.PLACE}."
            )
    return ObservedRun(tuple(watch.calls), tuple(watch.outputs), tuple(watch.tail), logits[0], watch.writes)


class _Observer:
    """Records what happens while a network runs."""

    def __init__(self, blocks: nn.ModuleList) -> None:
        self.blocks = blocks
        self.order: list[int] = []
        self.calls: list[BlockCall] = []
        self.outputs: list[Any] = []
        self.tail: list[nn.Module] = []
        self.writes: dict[int, frozenset[ArgumentPlace]] = {}
        self._before: dict[ArgumentPlace, dict[Any, Any]] = {}
        self._open: list[nn.Module] = []
        self._finished: list[list[nn.Module]] = [[]]
        self._headed = False

    def follow(self, stack: ExitStack, around: Sequence[nn.Module], head: nn.Module) -> None:
        """Hook the blocks and the modules `around` them."""
        for index, block in enumerate(self.blocks):
            stack.callback(
                block.register_forward_pre_hook(partial(self._enter, index), prepend=True, with_kwargs=True).remove
            )
            stack.callback(block.register_forward_hook(partial(self._leave, index), with_kwargs=True).remove)
        for module in around:
            if module is not head:
                stack.callback(module.register_forward_pre_hook(self._opened).remove)
                stack.callback(module.register_forward_hook(self._closed).remove)
        stack.callback(head.register_forward_pre_hook(self._reached_head).remove)

    def _enter(self, index: int, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.order.append(index)
        self._before = {place: dict(value) for place, value in _mappings(args, kwargs)}
        self.calls.append(as_call(args, dict(kwargs)))

    def _leave(
        self, index: int, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> None:
        self.outputs.append(output)
        self.writes[index] = frozenset(
            place for place, value in _mappings(args, kwargs) if not _alike(self._before[place], dict(value))
        )

    @property
    def _between(self) -> bool:
        return len(self.outputs) >= len(self.blocks) and not self._headed

    def _opened(self, module: nn.Module, *_: Any) -> None:
        if self._between:
            self._open.append(module)
            self._finished.append([])

    def _closed(self, module: nn.Module, *_: Any) -> None:
        if self._between and self._open and self._open[-1] is module:
            self._open.pop()
            self._finished.pop()
            self._finished[-1].append(module)

    def _reached_head(self, *_: Any) -> None:
        if self._between:
            self.tail = [module for finished in self._finished for module in finished]
            self._headed = True


def _mappings(
    args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[tuple[ArgumentPlace, MutableMapping[Any, Any]]]:
    places: list[ArgumentPlace] = [*range(len(args)), *kwargs]
    for place, value in zip(places, (*args, *kwargs.values()), strict=True):
        if isinstance(value, MutableMapping):
            yield place, value


def _alike(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
    return one.keys() == other.keys() and all(one[key] is other[key] for key in one)


def as_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> BlockCall:
    """A block's arguments as a call. The state comes first, or by the name ``hidden_states``."""
    return (args[0], args[1:], kwargs) if args else (kwargs.pop("hidden_states"), (), kwargs)


def hidden_state(output: Any) -> Tensor:
    """A block's output state. Some families return a tuple, most the bare state."""
    state: Tensor = output[0] if isinstance(output, tuple | list) else output
    return state


def connect(name: str, trial: ObservedRun, ids: Int[Tensor, "1 position"]) -> BlockInterface:
    """Learn from a trial run how blocks are connected. Raises `ModelError` naming the block that was not understood."""
    for index, output in enumerate(trial.outputs):
        state = hidden_state(output)
        if not isinstance(state, Tensor) or state.ndim != 3 or state.shape[:2] != ids.shape:
            found = tuple(state.shape) if isinstance(state, Tensor) else type(state).__name__
            raise ModelError(
                f"Block {index} of {name} returns {found} for {ids.shape[1]} tokens, not one state a token: "
                f"it cannot be read block by block; {quirks.PLACE}."
            )
    for index, (state, call) in enumerate(zip(trial.states, trial.calls[1:], strict=False)):
        if not _same(state, call[0]):
            raise ModelError(
                f"{name} changes what block {index} returns before block {index + 1} receives it: "
                f"it cannot be read block by block; {quirks.PLACE}."
            )
    kinds = {None if isinstance(output, Tensor) else type(output) for output in trial.outputs}
    if len(kinds) > 1:
        raise ModelError(f"The blocks of {name} return different kinds of values: {quirks.PLACE}.")
    parts = [() if isinstance(output, Tensor) else tuple(output) for output in trial.outputs]
    shapes = tuple(tuple(None if isinstance(part, Tensor) else part for part in found[1:]) for found in parts)
    beside = (*_links(parts, trial.calls), *_written(trial))
    return BlockInterface(kinds.pop(), shapes, beside, _leans(parts, trial, beside))


def _links(parts: Sequence[tuple[Any, ...]], calls: Sequence[BlockCall]) -> Iterator[SideInput]:
    """The returned parts that every next block is given."""
    places: list[ArgumentPlace] = [*range(1, len(calls[0][1]) + 1), *calls[0][2]]
    for part in range(1, min(map(len, parts))):
        for place in places:
            link = SideInput(place, part)
            pairs = [(found[part], link.given(call)) for found, call in zip(parts, calls[1:], strict=False)]
            if all(_same(*pair) for pair in pairs) and any(isinstance(value, Tensor) for value, _ in pairs):
                yield link


def _written(trial: ObservedRun) -> Iterator[SideInput]:
    """The mappings that blocks write into."""
    for place in sorted({place for places in trial.writes.values() for place in places}, key=str):
        yield SideInput(place)


def _leans(
    parts: Sequence[tuple[Any, ...]], trial: ObservedRun, beside: Sequence[SideInput]
) -> dict[int, frozenset[int]]:
    """Which earlier blocks each block depends on."""
    found: dict[int, set[int]] = {}
    for one in beside:
        makers: set[int] = set()
        for index, call in enumerate(trial.calls):
            if one.part is None:
                found.setdefault(index, set()).update(makers)
                makers |= {index} if one.place in trial.writes[index] else set()
            elif parts[index][one.part] is not one.given(call):
                makers = {index}
            elif one.given(call) is not None:
                found.setdefault(index, set()).update(makers)
    return {index: frozenset(leans) for index, leans in found.items() if leans}


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one is other or (one.shape == other.shape and torch.equal(one, other))
    return one is other
