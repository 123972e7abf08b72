"""Every candidate of a pruning step in one sweep over the blocks.

With n kept blocks, removing each in turn and running the model costs n(n-1) block passes. The model without block c and the
whole one are the same up to c, so that the stream "without c" begins as a copy of the whole one's state before c; all streams
then pass a block together before the next one is touched. That costs n(n-1)/2 + n - 1 passes and reads every weight once. What a
step computed before the block it removed is left unchanged by the removal, and the next step starts from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from layercliff.models.passage import Passage, Stream


@dataclass(frozen=True)
class _Streams:
    """States before the block at a position: of the whole model, and without each earlier candidate (by position)."""

    whole: Stream
    without: dict[int, Stream]


class Sweep:
    """The sweeps of one batch along a path. Numbers do not depend on what is reused: a stream's blocks are always run on the same shapes."""

    def __init__(self, passage: Passage, kept: Sequence[int], budget: int = 0) -> None:
        """`budget` is how many bytes of states may be kept for the next step; the batch's first state is always kept."""
        self.passage, self.kept, self.budget = passage, tuple(kept), budget
        self.passes = 0
        self._known: dict[int, _Streams] = {0: _Streams(passage.embedded, {})}

    def candidates(self, protected: Sequence[int] = ()) -> dict[int, Float[Tensor, "row position d"]]:
        """The last depth's state of the model without each kept block that is not in `protected`, by the block's dense index."""
        start = max(self._known)
        streams = self._known[start]
        for position in range(start, len(self.kept)):
            if position % self._spacing() == 0 and self._held() + position + 1 <= self.budget // self._size:
                self._known.setdefault(position, streams)
            streams = self._past(position, streams, protected)
        return {self.kept[position]: stream.levels[-1] for position, stream in streams.without.items()}

    def remove(self, block: int) -> None:
        """Take a block out for good; states before it stay known."""
        gone = self.kept.index(block)
        self.kept = tuple(index for index in self.kept if index != block)
        self._known = {position: streams for position, streams in self._known.items() if position <= gone}

    def _past(self, position: int, before: _Streams, protected: Sequence[int]) -> _Streams:
        block = self.kept[position]
        without = {candidate: self._block(block, state) for candidate, state in before.without.items()}
        if block not in protected:
            without[position] = before.whole
        last = position == len(self.kept) - 1  # nothing branches off the whole model's last state
        return _Streams(before.whole if last else self._block(block, before.whole), without)

    def _block(self, index: int, state: Stream) -> Stream:
        self.passes += 1
        return self.passage.block(index, state)

    @property
    def _size(self) -> int:
        return self.passage.embedded.size

    def _held(self) -> int:
        """States kept, but for the batch's first."""
        return sum(1 + len(streams.without) for position, streams in self._known.items() if position)

    def _spacing(self) -> int:
        """Streams are kept before every s-th position, with the smallest s whose states fit the budget."""
        n = len(self.kept)
        return next((s for s in range(1, n) if self._size * sum(p + 1 for p in range(s, n, s)) <= self.budget), n)
