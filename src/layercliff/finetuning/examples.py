"""Training examples: questions followed by their right answers, of which only the answers count."""

from collections.abc import Sequence
from dataclasses import dataclass

from layercliff.readout.encoded_task import EncodedTask

IGNORED = -100  # the label of a token that takes no part in the loss


@dataclass(frozen=True, slots=True)
class Example:
    """The token ids of a prompt and its answer. The last `answer` of them are the answer's."""

    tokens: tuple[int, ...]
    answer: int

    @property
    def labels(self) -> tuple[int, ...]:
        """The answer's tokens at their places, `IGNORED` before them."""
        return (IGNORED,) * (len(self.tokens) - self.answer) + self.tokens[-self.answer :]


def examples(parts: Sequence[EncodedTask]) -> tuple[Example, ...]:
    """The right answer of each question of `parts`, whose rows must be continuations (asked with ``whole=True``)."""
    return tuple(
        Example((*row.tokens, row.targets[-1]), len(row.targets))
        for part in parts
        for row in part.rows
        if row.option == part.questions[row.question].gold
    )
