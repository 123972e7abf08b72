"""Every candidate of a pruning step in one sweep over the blocks.

With n kept blocks, removing each in turn and running the model costs n(n-1) block passes. A sweep costs
n(n-1)/2 + n - 1 and reads every weight once. The model without block c is the whole one up to c. So the stream
"without c" begins as a copy of the whole one's state before c, and all streams pass a block together.

What a step computed before the block it removed stays true. The next step starts from there.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor, zeros

from layercliff.models.blockwise_pass import BlockwisePass, ResidualStream

WHOLE = -1  # the stream of the model with all kept blocks, among streams named by the block they are without


def most_passes(n_kept: int) -> int:
    """Block passes of a batch when all candidates among `n_kept` blocks are scored and nothing is known yet."""
    return n_kept * (n_kept - 1) // 2 + n_kept - 1


@dataclass(frozen=True)
class UncomputedPassage:
    """Stands for a passage and runs nothing, so that a sweep over it only counts."""

    embedded: ResidualStream = field(default_factory=lambda: ResidualStream((), (zeros(1, 1, 1),)))
    size: int = 0

    def through(self, kept: Sequence[int]) -> Iterator[Callable[[ResidualStream], ResidualStream]]:
        """As many blocks, which do nothing."""
        for _ in kept:
            yield lambda stream: stream


class Sweep:
    """The sweeps of one batch along a path.

    Numbers do not depend on what is reused: a stream's blocks are always run on the same shapes.
    """

    def __init__(self, passage: BlockwisePass | UncomputedPassage, kept: Sequence[int], budget: int = 0) -> None:
        """`budget` is how many bytes may be kept for the next step: what the passage itself holds, and states."""
        self.passage, self.kept = passage, tuple(kept)
        self.room = max(0, budget - passage.size) // passage.embedded.size  # states beside the first one
        self.passes = 0
        self._known: dict[int, dict[int, ResidualStream]] = {
            0: {WHOLE: passage.embedded}
        }  # before the block at a position

    @staticmethod
    def counting(kept: Sequence[int], room: int) -> "Sweep":
        """A sweep that runs nothing. Its `passes` are those of one with so much `room`."""
        nothing = UncomputedPassage()
        return Sweep(nothing, kept, room * nothing.embedded.size)

    def candidates(self, wanted: Iterable[int] | None = None) -> dict[int, Float[Tensor, "row position d"]]:
        """The last depth's state of the model without each block of `wanted`, by the block's dense index.

        Default: every kept block.
        """
        blocks = [block for block in self.kept if wanted is None or block in set(wanted)]
        joins = self._starts(blocks)
        running: dict[int, ResidualStream] = {}
        spacing = self._spacing()
        begin = min(joins.values())
        for position, run in enumerate(self.passage.through(self.kept[begin:]), begin):
            running |= {name: self._known[at][name] for name, at in joins.items() if at == position}
            if position % spacing == 0:
                self._keep(position, running)
            branching = self.kept[position] in blocks and self.kept[position] not in running
            whole = running.get(WHOLE)
            last = max((self.kept.index(block) for block in blocks if block not in running), default=-1)
            if last <= position:
                running.pop(WHOLE, None)  # nothing branches off it any more
            for name in running:  # one after the other, so that no two states of a stream are held
                running[name] = self._past(run, running[name])
            if branching and whole is not None:
                running[self.kept[position]] = whole
        running |= {name: self._known[at][name] for name, at in joins.items() if at == len(self.kept)}
        return {block: running[block].levels[-1] for block in blocks}

    def remove(self, block: int) -> None:
        """Take a block out for good. States before it stay known."""
        gone = self.kept.index(block)
        self.kept = tuple(index for index in self.kept if index != block)
        self._known = {position: streams for position, streams in self._known.items() if position <= gone}

    def _starts(self, blocks: Sequence[int]) -> dict[int, int]:
        """Where each stream is known farthest.

        The whole one is needed only if a candidate still has to branch off it, and no farther than there.
        """
        found: dict[int, int] = {}
        for block in blocks:
            known = [position for position, streams in self._known.items() if block in streams]
            if known:
                found[block] = max(known)
        first = min((self.kept.index(block) for block in blocks if block not in found), default=None)
        if first is not None:
            found[WHOLE] = max(p for p, streams in self._known.items() if WHOLE in streams and p <= first)
        return found

    def _keep(self, position: int, streams: dict[int, ResidualStream]) -> None:
        """Remember streams before a position, if they fit the budget."""
        held = sum(len(known) for at, known in self._known.items() if at not in (0, position))
        known = self._known.get(position, {}) | streams
        if position and held + len(known) <= self.room:
            self._known[position] = known

    def _past(self, run: Callable[[ResidualStream], ResidualStream], stream: ResidualStream) -> ResidualStream:
        self.passes += 1
        return run(stream)

    def _spacing(self) -> int:
        """Streams are kept before every s-th position, with the smallest s whose states fit the budget."""
        n = len(self.kept)
        return next((s for s in range(1, n) if sum(p + 1 for p in range(s, n, s)) <= self.room), n)
