"""Sequences with a common prefix as one sequence that branches where they part.

Every token runs once and is seen only by what follows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from layercliff.models.blockwise_pass import TreeMask


@dataclass(frozen=True)
class TokenTree:
    """Sequences merged into one that branches.

    Attributes:
        tokens: Ids, each once.
        stem: So many first tokens are common to all sequences and follow one another.
        parents: Of each later token, the place of the token that it follows. -1 for none.
    """

    tokens: tuple[int, ...]
    stem: int
    parents: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.tokens)

    @staticmethod
    def of(sequences: Sequence[tuple[int, ...]]) -> "TokenTree":
        """Merge sequences.

        Args:
            sequences: Token ids of each.

        Returns:
            The tree.
        """
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
        """Whether any two sequences part."""
        return any(parent != self.stem + number - 1 for number, parent in enumerate(self.parents))

    def path(self, sequence: tuple[int, ...]) -> tuple[int, ...]:
        """The places of the tokens of one merged sequence.

        Args:
            sequence: Its token ids.

        Returns:
            A place per token.
        """
        known = {
            (parent, self.tokens[self.stem + number]): self.stem + number for number, parent in enumerate(self.parents)
        }
        path = list(range(min(self.stem, len(sequence))))
        for token in sequence[self.stem :]:
            path.append(known[path[-1] if path else -1, token])
        return tuple(path)

    def positions(self) -> list[int]:
        """Each token's position in its own sequence."""
        found = list(range(self.stem))
        for parent in self.parents:
            found.append(found[parent] + 1 if parent >= 0 else 0)
        return found

    @staticmethod
    def tree(several: Sequence["TokenTree"], before: int, device: torch.device) -> TreeMask:
        """The mask of a batch of trees, padded on the right. Padding sees only itself.

        Args:
            several: The trees.
            before: Tokens that run before them.
            device: Where the mask is to be.

        Returns:
            What each token sees, and its position.
        """
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
