"""Sequences with a common beginning as one sequence that branches where they part: every token once, seen by what
follows it alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from layercliff.models.blockwise_pass import TreeMask


@dataclass(frozen=True)
class TokenTree:
    """`tokens`: the first `stem` of them are common to all sequences and follow one another; each later one follows the
    token at the place in `parents`, which comes before it. `parts` says whether any two sequences part."""

    tokens: tuple[int, ...]
    stem: int
    parents: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.tokens)

    @staticmethod
    def of(sequences: Sequence[tuple[int, ...]]) -> "TokenTree":
        """Put sequences together."""
        first, last = min(sequences), max(sequences)  # the two that differ soonest
        stem = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
        tokens, parents = list(first[:stem]), []
        known: dict[tuple[int, int], int] = {}
        for sequence in sequences:
            place = stem - 1
            for token in sequence[stem:]:
                if (place, token) not in known:
                    known[place, token] = len(tokens)
                    tokens.append(token)
                    parents.append(place)
                place = known[place, token]
        return TokenTree(tuple(tokens), stem, tuple(parents))

    @property
    def parts(self) -> bool:
        return any(parent != self.stem + number - 1 for number, parent in enumerate(self.parents))

    def path(self, sequence: tuple[int, ...]) -> tuple[int, ...]:
        """The places of a sequence's tokens, one of those that were put together."""
        known = {
            (parent, self.tokens[self.stem + number]): self.stem + number for number, parent in enumerate(self.parents)
        }
        path = list(range(min(self.stem, len(sequence))))
        for token in sequence[self.stem :]:
            path.append(known[path[-1] if path else -1, token])
        return tuple(path)

    def positions(self) -> list[int]:
        """How many tokens come before each in its own sequence."""
        found = list(range(self.stem))
        for parent in self.parents:
            found.append(found[parent] + 1 if parent >= 0 else 0)
        return found

    @staticmethod
    def tree(several: Sequence["TokenTree"], before: int, device: torch.device) -> TreeMask:
        """How a batch of them, padded on the right, is to be run, `before` tokens after the beginning. Padding sees
        itself alone."""
        longest = max(map(len, several))
        positions = np.zeros((len(several), longest), np.int64)
        sees = np.zeros((len(several), longest, longest), bool)
        sees[:, range(longest), range(longest)] = True
        for number, one in enumerate(several):
            positions[number, : len(one)] = one.positions()
            sees[number, : one.stem, : one.stem] = np.tri(one.stem, dtype=bool)
            for place, parent in enumerate(one.parents, one.stem):
                if parent >= 0:
                    sees[number, place] |= sees[number, parent]
        return TreeMask(torch.from_numpy(positions + before).to(device), torch.from_numpy(sees).to(device))
