"""The forward pass of a batch, block by block, through any selection of blocks.

What rows have in common passes once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from inspect import BoundArguments, signature
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor, arange, cat, finfo, nn, zeros
from torch import bool as bool_
from transformers import DynamicCache

from layercliff.models.block_interface import BlockCall, BlockInterface, hidden_state

KeysValues = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class TreeMask:
    """Tokens that branch: each one's position in its own sequence, and which tokens of its row it sees."""

    positions: Int[Tensor, "row position"]
    sees: Bool[Tensor, "row position position"]


@dataclass(frozen=True)
class Segment:
    """Token ids that continue the rows `parent` of the segment before. The first continues nothing.

    They form one sequence per row, or a `tree`.
    """

    ids: Int[Tensor, "row position"]
    parent: Int[Tensor, " row"] | None = None
    tree: TreeMask | None = None


@dataclass(frozen=True)
class ResidualStream:
    """The states of a batch after the blocks `passed` (dense indices), segment by segment.

    The last segment is the one that is read. `beside` holds, per segment, what passes to the next block beside the
    state.
    """

    passed: tuple[int, ...]
    levels: tuple[Float[Tensor, "_ _ d"], ...]
    beside: tuple[tuple[Any, ...], ...] = ()

    @property
    def size(self) -> int:
        """Size in bytes."""
        return sum(tensor.nbytes for tensor in _tensors((self.levels, self.beside)))


@dataclass
class PrefixCache:
    """The states, keys and values of a prefix that several batches share, within `budget` bytes.

    Entries are keyed by the blocks passed. Call `clear` when the weights change.
    """

    budget: int = 0
    front: tuple[int, ...] = ()
    known: dict[tuple[int, ...], tuple[Tensor, KeysValues]] = field(default_factory=dict)
    held: int = 0

    def of(self, front: tuple[int, ...]) -> dict[tuple[int, ...], tuple[Tensor, KeysValues]]:
        """The entries for the prefix `front`. Those of another prefix are dropped."""
        if front != self.front:
            self.clear()
            self.front = front
        return self.known

    def keep(self, passed: tuple[int, ...], state: Tensor, seen: KeysValues) -> None:
        """Store an entry for the current prefix, if it fits."""
        size = sum(t.nbytes for t in (state, *seen))
        if self.held + size <= self.budget:
            self.known[passed] = (state, seen)
            self.held += size

    def clear(self) -> None:
        """Drop all entries."""
        self.known.clear()
        self.held = 0


@dataclass(frozen=True)
class BlockwisePass:
    """A batch that passes through blocks one at a time.

    ``calls[segment][index]`` is how the dense network calls a block for a segment. With several segments, a block
    sees the earlier ones through their keys and values.
    """

    blocks: nn.ModuleList
    levels: tuple[Segment, ...]
    calls: tuple[tuple[BlockCall, ...], ...]
    leads: PrefixCache = field(default_factory=PrefixCache)
    wiring: BlockInterface = field(default_factory=BlockInterface)

    @cached_property
    def front(self) -> tuple[int, ...] | None:
        """The tokens of the prefix that all other rows follow, if there is one."""
        ids = self.levels[0].ids
        return tuple(ids[0].tolist()) if len(self.levels) > 1 and len(ids) == 1 else None

    @property
    def embedded(self) -> ResidualStream:
        """What the first block receives."""
        first = [calls[0] for calls in self.calls]
        beside = tuple(tuple(one.given(call) for one in self.wiring.beside) for call in first)
        return ResidualStream((), tuple(call[0] for call in first), beside if self.wiring.beside else ())

    @property
    def size(self) -> int:
        """Bytes held: first states, masks and positions."""
        held = {id(t): t for calls in self.calls for call in calls for t in _tensors(call)}
        return sum(tensor.nbytes for tensor in held.values())

    def block(self, index: int, stream: ResidualStream) -> ResidualStream:
        """Pass a stream through one block, by its dense index.

        Raises `ModelError` where the block needs the output of one that was not passed.
        """
        passed = (*stream.passed, index)
        if len(self.levels) == 1:
            return self._alone(index, stream)
        states: list[Tensor] = []
        seen: KeysValues | None = None
        known = {} if self.front is None else self.leads.of(self.front)
        for depth, (level, calls, hidden) in enumerate(zip(self.levels, self.calls, stream.levels, strict=True)):
            if depth == 0 and passed in known:
                state, seen = known[passed]
            else:
                past = _Past(None if seen is None else (seen[0][level.parent], seen[1][level.parent]))
                _, args, kwargs = calls[index]
                args = tuple(past if isinstance(a, DynamicCache) else a for a in args)
                kwargs = {k: past if isinstance(v, DynamicCache) else v for k, v in kwargs.items()}
                state = hidden_state(self.blocks[index](hidden, *args, **kwargs))
                seen = past.seen
                if depth == 0 and self.front is not None:
                    self.leads.keep(passed, state, seen)
            states.append(state)
        return ResidualStream(passed, tuple(states))

    def _alone(self, index: int, stream: ResidualStream) -> ResidualStream:
        """Pass a stream of one segment, with what it carries beside its state."""
        self.wiring.check(index, stream.passed)
        call = self.calls[0][index]
        for carried in stream.beside:
            for one, value in zip(self.wiring.beside, carried, strict=True):
                call = one.giving(call, value)
        _, args, kwargs = call
        output = self.blocks[index](stream.levels[0], *args, **kwargs)
        beside = (self.wiring.handed_on(call, output),) if self.wiring.beside else ()
        return ResidualStream((*stream.passed, index), (hidden_state(output),), beside)

    def depths(self, kept: Sequence[int] | None = None) -> Iterator[tuple[int, Float[Tensor, "row position d"]]]:
        """Yield each depth and the residual stream of the last segment there, from the embeddings on.

        `kept` are the dense indices of the blocks to run (default: all). The last stream is the last block's output
        *before* the final norm. Hugging Face's ``hidden_states[-1]`` is already normed.
        """
        stream = self.embedded
        yield 0, stream.levels[-1]
        for depth, run in enumerate(self.through(range(len(self.blocks)) if kept is None else kept), 1):
            stream = run(stream)
            yield depth, stream.levels[-1]

    def past(self, kept: Sequence[int], stream: ResidualStream) -> ResidualStream:
        """Pass a stream through the blocks `kept`."""
        for run in self.through(kept):
            stream = run(stream)
        return stream

    def through(self, kept: Sequence[int]) -> Iterator[Callable[[ResidualStream], ResidualStream]]:
        """The blocks `kept`, one after another, each to be run before the next is taken.

        All blocks are run this way. A subclass may load weights here.
        """
        for index in kept:
            yield partial(self.block, index)


def enter(
    blocks: nn.ModuleList,
    levels: Sequence[Segment],
    run: Callable[..., list[BlockCall]],
    leads: PrefixCache | None = None,
    wiring: BlockInterface | None = None,
) -> BlockwisePass:
    """Record how each block is called for a batch. ``run(input_ids=..., ...)`` bypasses the blocks and returns their
    calls.

    Raises `ValueError` for a tree where blocks take no ``attention_mask``. Raises it as well for several segments
    where more than the state passes between blocks.
    """
    wiring = wiring or BlockInterface()
    if wiring.beside and len(levels) > 1:
        raise ValueError("More than the state passes between these blocks: rows share nothing.")
    calls, before = [], 0
    for level in levels:
        past = {"past_key_values": _of_length(before, len(blocks), level.ids)} if len(levels) > 1 else {}
        where = {} if level.tree is None else {"position_ids": level.tree.positions}
        found = run(input_ids=level.ids, use_cache=len(levels) > 1, **past, **where)
        calls.append(found if level.tree is None else list(_along(level.tree, before, blocks, found, run)))
        before += level.ids.shape[1]
    return BlockwisePass(blocks, tuple(levels), tuple(map(tuple, calls)), leads or PrefixCache(), wiring)


def _along(
    tree: TreeMask, before: int, blocks: nn.ModuleList, calls: Sequence[BlockCall], run: Callable[..., list[BlockCall]]
) -> Iterator[BlockCall]:
    """Calls with tree masks: a token sees only its own branch.

    Within a branch it sees what the network's own mask allows (windows, chunks, distances).
    """
    length = int(tree.positions.max()) + 1
    plain = run(input_ids=zeros(1, length, dtype=tree.positions.dtype, device=tree.positions.device), use_cache=False)
    masks: dict[int, Tensor] = {}
    for block, (hidden, args, kwargs), straight in zip(blocks, calls, plain, strict=True):
        own = _bound(block, straight).arguments.get("attention_mask")
        bound = _bound(block, (hidden, args, kwargs))
        if "attention_mask" not in bound.signature.parameters:
            raise ValueError(f"{type(block).__name__} takes no attention_mask")
        if id(own) not in masks:
            masks[id(own)] = _mask(tree, before, own)
        bound.arguments["attention_mask"] = masks[id(own)]
        yield hidden, bound.args[1:], bound.kwargs


def _mask(
    tree: TreeMask, before: int, straight: Float[Tensor, "_ _ long long"] | Bool[Tensor, "_ _ long long"] | None
) -> Float[Tensor, "row _ position key"] | Bool[Tensor, "row _ position key"]:
    """A tree's mask, of the kind of `straight`.

    `straight` is the mask of one sequence as long as the longest branch. None means that everything before is seen.
    """
    rows, width = tree.positions.shape
    sees = cat([tree.sees.new_ones(rows, width, before), tree.sees], -1)[:, None]
    if straight is None:
        return sees
    keys = cat([arange(before, device=sees.device).expand(rows, -1), tree.positions], -1)
    found = straight[0, :, tree.positions[:, :, None], keys[:, None, :]].movedim(0, 1)
    return found & sees if found.dtype == bool_ else found.masked_fill(~sees, finfo(found.dtype).min)


def _bound(block: nn.Module, call: BlockCall) -> BoundArguments:
    """A block's arguments by name."""
    hidden, args, kwargs = call
    return signature(block.forward).bind(hidden, *args, **kwargs)


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors among arguments."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list | Mapping):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(item)


def _of_length(positions: int, n_layers: int, ids: Tensor) -> DynamicCache:
    """A cache of which only the length counts: masks and positions are made from it."""
    cache = DynamicCache()
    if positions:
        nothing = zeros(len(ids), 1, positions, 1, device=ids.device)
        for index in range(n_layers):
            cache.update(nothing, nothing, index)
    return cache


class _Past(DynamicCache):
    """The cache a block is called with: puts what came before in front of its keys and values, and notes the whole."""

    seen: KeysValues

    def __init__(self, before: KeysValues | None) -> None:
        super().__init__()
        self._before = before

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> KeysValues:
        """Called by the attention of the block."""
        self.seen = (key_states, value_states)
        if self._before is not None:
            self.seen = (cat([self._before[0], key_states], -2), cat([self._before[1], value_states], -2))
        return self.seen
