"""A task as it is put to a model: its questions as token rows, and their scores put back together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from layercliff.choices import Apart, Format, Half, Normalisation, Sharing
from layercliff.errors import ModelError, TaskError
from layercliff.models.model import Model
from layercliff.progress import Note, mute
from layercliff.readout import batches, encode, logit_agreement, tokens
from layercliff.readout.batches import Batch
from layercliff.readout.encode import EncodedPrompts, TokenRow
from layercliff.readout.read import Reading
from layercliff.readout.trace import LogitAgreement, Trace, TracedTask
from layercliff.tasks import prompts, splits
from layercliff.tasks.prompts import Prompt
from layercliff.tasks.question import Question, Task

PASSAGE_TOKENS = 512  # a longer passage is cut


@dataclass(frozen=True)
class EncodedTask:
    """A task as token rows.

    Attributes:
        task: Where it is from.
        form: The format it is asked in.
        normalisation: What sums of log-probabilities are divided by in *cloze*.
        questions: Those that can be asked.
        half_of: [question] ``select`` or ``report``.
        rows: What is asked. ``row.question`` indexes `questions`.
        left_out: Questions that the format cannot ask, with reasons.
        prompts: [question] Prompts as text.
        agreement: How rows may be run, found on rows of the whole task.
    """

    task: Task
    form: Format
    normalisation: Normalisation
    questions: tuple[Question, ...]
    half_of: tuple[Half, ...]
    rows: tuple[TokenRow, ...]
    left_out: tuple[str, ...]
    prompts: tuple[Prompt, ...]
    agreement: LogitAgreement

    @property
    def sharing(self) -> Sharing:
        """How the rows may be run."""
        return self.agreement.sharing

    @property
    def reading(self) -> Format:
        """The format that rows are read in: *cloze* for continuations, whatever the task's format."""
        return self.form if self.rows[0].option is None else "cloze"

    @property
    def width(self) -> int:
        """The largest number of options."""
        return max(len(question.options) for question in self.questions)

    @property
    def mask(self) -> Bool[np.ndarray, "question option"]:
        """Which options there are, [question option]."""
        return np.array([[k < len(question.options) for k in range(self.width)] for question in self.questions])

    @property
    def gold(self) -> Int[np.ndarray, " question"]:
        """Index of each question's right option, [question]."""
        return np.array([question.gold for question in self.questions])

    def batches(self, budget: int, apart: Apart = "nothing") -> tuple[Batch, ...]:
        """The rows in batches.

        Args:
            budget: Tokens of a batch at most, padding included.
            apart: What shares no token.

        Returns:
            Batches, longest rows first.
        """
        return batches.plan(self.rows, budget, self.sharing, apart=apart)

    def of(self, half: Half) -> "EncodedTask":
        """The questions of one half.

        Args:
            half: ``select`` or ``report``.

        Returns:
            The task with these questions.
        """
        return self.subset([index for index, name in enumerate(self.half_of) if name == half])

    def split(self, seed: int, number: int) -> "EncodedTask":
        """The same questions, split anew.

        Args:
            seed: Decides the split, with `number`.
            number: Which of several splits.

        Returns:
            The task with other halves.
        """
        halves = splits.halves(self.questions, seed, number)
        return replace(self, half_of=tuple(halves[question.id] for question in self.questions))

    def subset(self, kept: Sequence[int]) -> "EncodedTask":
        """Some of the questions.

        Args:
            kept: Indices of questions, in the order wanted.

        Returns:
            The task with these questions.
        """
        place = {index: position for position, index in enumerate(kept)}
        return replace(
            self,
            questions=tuple(self.questions[index] for index in kept),
            half_of=tuple(self.half_of[index] for index in kept),
            rows=tuple(replace(row, question=place[row.question]) for row in self.rows if row.question in place),
            prompts=tuple(self.prompts[index] for index in kept),
        )

    def scores(
        self, readings: Iterable[tuple[Batch, Reading]]
    ) -> tuple[Float[np.ndarray, "depth question option"], Float[np.ndarray, "depth question"]]:
        """Put scores together, in the order of `questions`.

        Args:
            readings: Batches with what was read.

        Returns:
            Scores in nats [depth question option], nan for absent options; and option mass [depth question].
        """
        scores = mass = np.empty(0, np.float32)
        for batch, reading in readings:
            if not scores.size:
                scores = np.full((len(reading.scores), len(self.questions), self.width), np.nan, np.float32)
                mass = np.full((len(reading.scores), len(self.questions)), np.nan, np.float32)
            for number, row in enumerate(batch.rows):
                if row.option is None:
                    scores[:, row.question, : len(row.targets)] = reading.scores[:, number, : len(row.targets)]
                    mass[:, row.question] = reading.mass[:, number]
                else:
                    scores[:, row.question, row.option] = reading.scores[:, number, 0]
        return (scores / self.divisor).astype(np.float32), mass

    @cached_property
    def divisor(self) -> Int[np.ndarray, "question option"]:
        """What the summed log-probability of each option is divided by: 1, but in directories of version 0.1.0."""
        return np.ones(self.mask.shape, np.int64) if self.normalisation == "sum" else self.sizes[self.normalisation]

    @cached_property
    def sizes(self) -> dict[Normalisation, Int[np.ndarray, "question option"]]:
        """Tokens, characters and UTF-8 bytes of every option that is scored as a continuation. 1 for absent ones."""
        found: dict[Normalisation, Int[np.ndarray, "question option"]] = {
            by: np.ones((len(self.questions), self.width), np.int64) for by in ("token", "char", "byte")
        }
        for row in self.rows:
            if row.option is not None:
                text = prompts.scored(self.task, self.questions[row.question], self.form)[row.option]
                place = row.question, row.option
                found["token"][place] = len(row.targets)
                found["char"][place], found["byte"][place] = len(text), len(text.encode())
        return found

    def trace(self, readings: Iterable[tuple[Batch, Reading]]) -> Trace:
        """Make a trace of the readings of all rows.

        Args:
            readings: Batches with what was read.

        Returns:
            The trace of this task.
        """
        scores, mass = self.scores(readings)
        names = (self.task.name,) * len(self.questions)
        sizes = self.sizes if self.reading == "cloze" and self.normalisation == "sum" else {}
        return Trace(
            scores, self.mask, self.gold, mass, self.questions, names, self.half_of, {self.task.name: self.about}, sizes
        )

    @property
    def about(self) -> TracedTask:
        """What is asked, and what is left out."""
        task = self.task
        return TracedTask(
            task.name, self.form, task.source, task.split, task.licence, self.left_out, task.skipped, self.agreement
        )


def passages(model: Model, texts: Sequence[str]) -> tuple[TokenRow, ...]:
    """Make rows of texts in which every token but the first is read, cut to the model's length.

    Args:
        model: It gives tokenizer and length.
        texts: Those of a single token are left out.

    Returns:
        One row per text.
    """
    longest = min(PASSAGE_TOKENS, model.max_positions or PASSAGE_TOKENS)
    encoded = [ids[: longest + 1] for ids in tokens.of_model(model, texts)]
    return tuple(
        TokenRow(number, 0, tuple(ids[:-1]), tuple(ids[1:]))
        for number, ids in enumerate(ids for ids in encoded if len(ids) > 1)
    )


def read_text(model: Model, texts: Sequence[str]) -> tuple[TokenRow, ...]:
    """`passages` of a text.

    Args:
        model: It gives tokenizer and length.
        texts: Passages.

    Returns:
        One row per passage.

    Raises:
        TaskError: Where none can be read.
    """
    found = passages(model, texts)
    if not found:
        raise TaskError("The text has no passage of two tokens or more: give longer ones.")
    return found


def answered(task: Task, questions: Sequence[Question]) -> list[str]:
    """Each question with its right answer, as text.

    Args:
        task: It says how questions are asked.
        questions: Some of it.

    Returns:
        A text per question.
    """
    asked = [prompts.ask(task, question, "cloze") for question in questions]
    return [prompt.contexts[q.gold] + prompt.continuations[q.gold] for prompt, q in zip(asked, questions, strict=True)]


def askable(encoded: EncodedPrompts, n: int, what: str) -> list[int]:
    """The indices of questions that can be asked.

    Args:
        encoded: What could not be encoded is in `left_out`.
        n: Number of questions.
        what: Completes "No question of ..." in the error.

    Returns:
        Indices, in order.

    Raises:
        ModelError: Where none can be asked.
    """
    gone = dict(encoded.left_out)
    kept = [index for index in range(n) if index not in gone]
    if not kept:
        raise ModelError(f"No question of {what} ({next(iter(gone.values()))}): use another --format.")
    return kept


@dataclass(frozen=True)
class EncodingOptions:
    """How questions are encoded and scored.

    Attributes:
        normalisation: What sums of log-probabilities are divided by in *cloze*.
        chat: Use the model's chat template.
        seed: Draws the halves.
        whole: Score options of every format as continuations.
    """

    normalisation: Normalisation = "sum"
    chat: bool = False
    seed: int = 0
    whole: bool = False


def ask(
    model: Model,
    task: Task,
    form: Format,
    questions: Sequence[Question],
    examples: Sequence[Sequence[Question]] = (),
    how: EncodingOptions = EncodingOptions(),
    note: Note = mute,
) -> EncodedTask:
    """Encode questions of a task, each after its worked examples.

    How rows may be run is found here.

    Args:
        model: Who is asked.
        task: It says how questions are asked.
        form: The format.
        questions: Those that are asked.
        examples: [question] Worked examples. Empty for none.
        how: How they are encoded and scored.
        note: Is told of anything unusual.

    Returns:
        The task as token rows.

    Raises:
        LayercliffError: Where no question can be asked, or as `encode` and `logit_agreement.of` do.
    """
    template = encode.chat_template(model.tokenizer) if how.chat else None
    questions = prompts.shown(task, questions, form)
    asked = [
        prompts.ask(task, question, form, prompts.shown(task, shots, form), template)
        for question, shots in zip(questions, examples or ((),) * len(questions), strict=True)
    ]
    encoded = encode.encode(
        asked, "cloze" if how.whole else form, model.tokenizer, model.max_positions, tokens.vocabulary(model.network)
    )
    gone = dict(encoded.left_out)
    kept = askable(encoded, len(questions), f"{task.name} can be asked as {form} of {model.name}")
    place = {index: position for position, index in enumerate(kept)}
    left = tuple(questions[index] for index in kept)
    halves = splits.halves(left, how.seed)
    rows = tuple(replace(row, question=place[row.question]) for row in encoded.rows)
    return EncodedTask(
        task,
        form,
        how.normalisation,
        left,
        tuple(halves[question.id] for question in left),
        rows,
        tuple(f"{questions[index].id}: {reason}" for index, reason in gone.items()),
        tuple(asked[index] for index in kept),
        logit_agreement.of(model, rows, task.name, note),
    )
