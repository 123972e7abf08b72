"""The states of some positions of every question, noted at every depth while a batch is read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import numpy as np
from jaxtyping import Float
from torch import Tensor

from layercliff.models.passage import Passage
from layercliff.readout.asked import Asked
from layercliff.readout.batches import Batch, read_from
from layercliff.store import key


@dataclass
class Gather:
    """Notes the states of the model that keeps the blocks `kept` at ``places[question]``; of *cloze* rows, those of the first option, whose
    prompt is every option's (in most tasks). Batches must share nothing."""

    kept: Sequence[int]
    places: Mapping[int, Sequence[int]]
    found: dict[int, list[Float[np.ndarray, "place d"]]] = field(default_factory=dict)

    def __call__(self, passage: Passage, batch: Batch) -> Iterator[tuple[int, Float[Tensor, "row position d"]]]:
        """Every depth's state, as `Passage.depths` gives it."""
        for depth, hidden in passage.depths(self.kept):
            for row, (sequence, _) in zip(batch.rows, batch.places, strict=True):
                if row.option in (None, 0):
                    if depth == 0:
                        self.found[row.question] = []
                    self.found[row.question].append(
                        hidden[sequence, list(self.places[row.question])].float().cpu().numpy()
                    )
            yield depth, hidden

    def states(self, question: int) -> Float[np.ndarray, "depth place d"]:
        """What was noted of a question."""
        return np.stack(self.found[question])


def places(part: Asked, tokens: int, seed: int) -> dict[int, list[int]]:
    """Of each question the last position of its prompt, which decides, and after it up to `tokens` others, drawn for the question by itself among those of
    its own: what all prompts begin with is the same in every question."""
    ends = min(row.tokens for row in part.rows), max(row.tokens for row in part.rows)  # the two that differ soonest
    lead = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False))))
    found = {}
    for row in part.rows:
        if row.option in (None, 0):
            last = read_from(row)
            rng = np.random.default_rng([seed, 13, int(key(part.task.name, part.questions[row.question].id)[:16], 16)])
            own = np.arange(min(lead, last), last + 1)
            found[row.question] = [last, *sorted(rng.permutation(own)[:tokens].tolist())]
    return found
