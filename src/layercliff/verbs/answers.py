"""A path's answers to report questions, beside those of a checkpoint that was reloaded."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from layercliff.errors import ModelError
from layercliff.models.proof import Query
from layercliff.readout.asked import Asked
from layercliff.readout.batches import Batch
from layercliff.readout.encode import Row
from layercliff.readout.read import Reading
from layercliff.readout.trace import Trace


def drawn(asked: Sequence[Asked], most: int) -> tuple[Asked, ...]:
    """The first questions of each task, `most` in all where there are so many, the same number of each task as far as it goes."""
    turns = sorted((turn, number) for number, part in enumerate(asked) for turn in range(len(part.questions)))[:most]
    counts = Counter(number for _, number in turns)
    return tuple(part.subset(range(counts[number])) for number, part in enumerate(asked) if counts[number])


def queries(asked: Sequence[Asked]) -> list[Query]:
    """The logits that the answers need, row by row."""
    return [_query(row) for part in asked for row in part.rows]


def compare(
    asked: Sequence[Asked], answers: Sequence[Float[Tensor, "2 _"]], path: Trace, rounding: float
) -> tuple[int, int]:
    """Hold the `answers` to `queries` against the last depth of `path`, the trace of a step. Returns how many questions were compared, and in how many of
    them it was rounding that decided.

    An option that the path holds for less likely than its best one may win when it lies so close that rounding decides: within `rounding`, as a share of the
    largest score of these questions. Raises `ModelError` naming a question that is answered otherwise.
    """
    compared = tied = 0
    left = iter(answers)
    for part in asked:
        n, width = part.mask.shape
        there = np.where(part.mask, path.of(part.task.name).scores[-1, :n, :width], -np.inf)
        here = np.where(part.mask, _scores(part, left), -np.inf)
        allowed = rounding * float(np.abs(there[part.mask]).max())
        for question, ours, theirs in zip(part.questions, here, there, strict=True):
            winners, wanted = ours == ours.max(), theirs == theirs.max()
            if not theirs.max() - theirs[winners].min() <= allowed:
                raise ModelError(
                    f"The reloaded checkpoint answers question {question.id} otherwise than the path: nothing was exported."
                )
            tied += not np.array_equal(winners, wanted)
        compared += n
    return compared, tied


def _query(row: Row) -> Query:
    n = len(row.targets)
    return Query(row.tokens, (-1,) * n if row.option is None else range(-n, 0), row.targets)


def _scores(part: Asked, answers: Iterator[Tensor]) -> Float[np.ndarray, "question option"]:
    readings = []
    for row in part.rows:
        logits, normalisers = next(answers)
        found = logits if row.option is None else (logits - normalisers).sum(0, keepdim=True)
        nothing = np.full((1, 1), np.nan, np.float32)
        readings.append((Batch((row,)), Reading(found[None, None].numpy(), nothing, np.zeros((1, 1), bool))))
    return np.asarray(part.scores(readings)[0][-1])
