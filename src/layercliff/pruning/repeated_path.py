"""A path walked several times: over random draws on the same halves, or over draws of the halves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from layercliff.pruning.criterion import Criterion
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.path import PathWalker, WalkedPath, accuracies
from layercliff.pruning.repeats import PathRepeat
from layercliff.pruning.step import BlockSelector
from layercliff.readout import encoded_task
from layercliff.readout.encode import TokenRow
from layercliff.readout.encoded_task import EncodedTask


@dataclass(frozen=True)
class RepeatedPath:
    """A path and its repetitions, `others`.

    `passes`, `seconds`: block passes of batches and seconds of all choices. `report_seconds`: what measuring each step
    of the path itself took.
    """

    path: WalkedPath
    others: tuple[PathRepeat, ...]
    passes: int
    seconds: float
    report_seconds: Sequence[float]


@dataclass(frozen=True)
class Paths:
    """A path by `criterion` and its repetitions, `paths` in all. `given` is without questions and text yet.

    `passages`: text that was given, if any. `collapsed`: whether paths end at the collapse.
    """

    criterion: Criterion
    given: CriterionInput
    parts: Sequence[EncodedTask]
    watched: Sequence[EncodedTask]
    passages: Sequence[str] | None
    paths: int
    collapsed: bool

    def walk(self) -> RepeatedPath:
        """Walk them all: over random draws on the same halves, or over draws of the halves."""
        path, selector, walker = self._one(0)
        passes, seconds, others = selector.passes, selector.seconds, []
        del selector  # and the states it holds
        for number in range(1, self.paths):
            again, selector, _ = self._one(number)
            passes, seconds = passes + selector.passes, seconds + selector.seconds
            others.append(PathRepeat.of(again.steps, accuracies(again.traces), again.traces))
            del selector
        return RepeatedPath(path, tuple(others), passes, seconds, walker.seconds)

    def _one(self, number: int) -> tuple[WalkedPath, BlockSelector, PathWalker]:
        """Walk one of them: on the given halves, or, of a repetition that is not a random draw, on other ones."""
        same = number == 0 or self.criterion.drawn
        halves = self.parts if same else [part.split(self.given.seed, number) for part in self.parts]
        selected = tuple(part.of("select") for part in halves)
        draw = number if self.criterion.drawn else 0
        given = replace(self.given, asked=selected, text=self._text(selected), draw=draw)
        selector = self.criterion.make(given)
        walker = PathWalker(
            given.model, [part.of("report") for part in halves], () if number else self.watched, given.batch_tokens,
            given.journal, given.subject, given.report, given.note, (number, self.paths),
        )  # fmt: skip
        return walker.walk(selector, given.steps, self.collapsed), selector, walker

    def _text(self, selected: Sequence[EncodedTask]) -> tuple[tuple[str, tuple[TokenRow, ...]], ...]:
        """The text that was given; of none, the tasks' own questions with their answers."""
        if self.passages is not None:
            return (("text", encoded_task.read_text(self.given.model, self.passages)),)
        return tuple(
            (part.task.name, encoded_task.passages(self.given.model, encoded_task.answered(part.task, part.questions)))
            for part in selected
        )
