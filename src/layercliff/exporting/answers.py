"""A path's answers to report questions, beside those of a checkpoint that was reloaded."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from layercliff.errors import ModelError
from layercliff.models.reload_check import LogitQuery
from layercliff.readout.batches import Batch
from layercliff.readout.encode import TokenRow
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.read import Reading
from layercliff.readout.trace import Trace


def drawn(asked: Sequence[EncodedTask], most: int) -> tuple[EncodedTask, ...]:
    """The first questions of each task, `most` in all where there are so many, the same number of each task as far as
    it goes."""
    turns = sorted((turn, number) for number, part in enumerate(asked) for turn in range(len(part.questions)))[:most]
    counts = Counter(number for _, number in turns)
    return tuple(part.subset(range(counts[number])) for number, part in enumerate(asked) if counts[number])


def queries(asked: Sequence[EncodedTask]) -> list[LogitQuery]:
    """The logits that the answers need, row by row."""
    return [_query(row) for part in asked for row in part.rows]


@dataclass(frozen=True)
class Agreement:
    """How the scores of `questions` questions agree with a path's: they differ by at most the share `difference` of
    what rounding explains. In `tied` questions it was rounding that decided."""

    questions: int
    tied: int
    difference: float


def compare(
    asked: Sequence[EncodedTask], answers: Sequence[Float[Tensor, "2 _"]], path: Trace, rounding: float
) -> Agreement:
    """Hold the `answers` to `queries` against the last depth of `path`, the trace of a step.

    A score may differ by what it is when logits are off by `rounding`, as a share of the largest logit of its task's
    questions. Raises `ModelError` naming a question that is scored otherwise.
    """
    compared = tied = 0
    largest = 0.0
    left = list(answers)
    for part in asked:
        n, width = part.mask.shape
        given, left = left[: len(part.rows)], left[len(part.rows) :]
        there = np.where(part.mask, path.of(part.task.name).scores[-1, :n, :width], -np.inf)
        here = np.where(part.mask, _scores(part, given), -np.inf)
        allowed = _allowed(part, rounding * max(float(answer.abs().max()) for answer in given))
        apart = np.where(part.mask, np.abs(np.where(part.mask, here, 0) - np.where(part.mask, there, 0)) / allowed, 0)
        wrong = ~(apart <= 1).all(1)
        if wrong.any():
            worst = int(wrong.argmax())
            off = float(np.max(apart[worst]))
            raise ModelError(
                f"The reloaded checkpoint scores question {part.questions[worst].id} otherwise than the path, "
                f"{off:.3g} "
                "times as far off as rounding explains: nothing was exported."
            )
        for ours, theirs in zip(here, there, strict=True):
            tied += not np.array_equal(ours == ours.max(), theirs == theirs.max())
        largest = max(largest, float(apart.max()))
        compared += n
    return Agreement(compared, tied, largest)


def _allowed(part: EncodedTask, logit: float) -> Float[np.ndarray, "question option"]:
    """By how much scores may differ when every logit, and every normaliser of logits, is off by `logit`."""
    found = np.full(part.mask.shape, logit, np.float64)
    for row in part.rows:
        if row.option is not None:
            found[row.question, row.option] = 2 * len(row.targets) * logit / part.divisor[row.question, row.option]
    return found


def _query(row: TokenRow) -> LogitQuery:
    n = len(row.targets)
    return LogitQuery(row.tokens, (-1,) * n if row.option is None else range(-n, 0), row.targets)


def _scores(part: EncodedTask, answers: Sequence[Tensor]) -> Float[np.ndarray, "question option"]:
    readings = []
    for row, (logits, normalisers) in zip(part.rows, answers, strict=True):
        found = logits if row.option is None else (logits - normalisers).sum(0, keepdim=True)
        nothing = np.full((1, 1), np.nan, np.float32)
        readings.append((Batch((row,)), Reading(found[None, None].numpy(), nothing, np.zeros((1, 1), bool))))
    return np.asarray(part.scores(readings)[0][-1])
