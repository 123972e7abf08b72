"""A multiple-choice question, and a task that holds many."""

import hashlib
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from layercliff.choices import Format
from layercliff.errors import TaskError, quoted

LETTERS = string.ascii_uppercase
HALF = "holds half of a character (a lone surrogate), which no file of UTF-8 can hold"


def is_whole(text: str) -> bool:
    """Whether a text can be written as UTF-8, without lone surrogates.

    Args:
        text: Any.

    Returns:
        True where it can.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Question:
    """A question with K = 2..26 options.

    Attributes:
        id: Unique in its task.
        text: What is asked.
        options: K different answers, as text.
        gold: Position of the right option, from 0.
        group: Questions of one group are not independent: they are resampled and split together.
        subject: Questions of one subject share worked examples.

    Raises:
        TaskError: Naming the field at fault.
    """

    id: str
    text: str
    options: tuple[str, ...]
    gold: int
    group: str
    subject: str = ""

    def __post_init__(self) -> None:
        self._check_texts()
        about = f"question {self.id if len(self.id) <= 80 else quoted(self.id)}"
        if not self.text.strip():
            raise TaskError(f"{about}: the text is empty")
        if not 2 <= len(self.options) <= len(LETTERS):
            raise TaskError(f"{about}: {len(self.options)} options, but 2 to {len(LETTERS)} are possible")
        if any(not option.strip() for option in self.options):
            raise TaskError(f"{about}: option {LETTERS[[not o.strip() for o in self.options].index(True)]} is empty")
        if self.gold not in range(len(self.options)):
            raise TaskError(
                f"{about}: the gold option {quoted(self.gold)} is not among the {len(self.options)} options"
            )

    def _check_texts(self) -> None:
        """Check that all texts are texts that a file can hold. Raises `TaskError`."""
        if isinstance(self.options, str):
            raise TaskError(f"question {quoted(self.id)}: the options are one text, and have to be several")
        for part in (self.id, self.group, self.subject, self.text, *self.options):
            if not isinstance(part, str):
                raise TaskError(f"question {quoted(self.id)}: {quoted(part)} is no text")
            if not is_whole(part):
                raise TaskError(f"question {quoted(self.id)}: {quoted(part)} {HALF}")

    def reordered(self, order: Sequence[int]) -> "Question":
        """The same question with its options in another order.

        Args:
            order: Positions of options.

        Returns:
            The question, its gold moved along.
        """
        return replace(self, options=tuple(self.options[k] for k in order), gold=list(order).index(self.gold))


@dataclass(frozen=True, slots=True)
class Lettering:
    """How a question is put in *letter*.

    Attributes:
        prompt: Holds ``{question}`` and ``{options}``.
        option: The line of one option. Holds ``{letter}`` and ``{option}``.
        description: Stands before everything.
        shuffled: Letter the options in an order drawn by the question's id: some data always have the right option in
            one place.

    Raises:
        TaskError: For a prompt that lacks a place.
    """

    prompt: str = "Question: {question}\n{options}\nAnswer:"
    option: str = " {letter}. {option}"
    description: str = ""
    shuffled: bool = False

    def __post_init__(self) -> None:
        for place in ("{question}", "{options}"):
            if place not in self.prompt:
                raise TaskError(f"The prompt {self.prompt!r} of a lettering lacks {place}: say where it goes.")


@dataclass(frozen=True)
class Task:
    """Questions of one kind.

    Attributes:
        name: Of the task.
        questions: All that may be asked.
        source: Where they are from.
        licence: That of the data.
        default_format: The format it is asked in unless another is wanted.
        prompt: The text asked in *cloze* and *first_token*. Holds ``{question}``.
        split: The part of the data they are from.
        shots: A pool of worked examples disjoint from `questions`, such as a training split. Where it is empty,
            examples are taken from the questions.
        skipped: Bad rows that the user chose to leave out, with reasons.
        description: Stands before everything. May hold ``{subject}``.
        letter: How questions are put in *letter*.
        blank: What stands for a blank in questions that have one. Options fill it: *cloze* compares how likely each
            makes the text after it (Trinh & Le 2018).
        spare_shot: lm-evaluation-harness draws one example more than wanted, since the task has no test split (see
            `layercliff.tasks.shots`).
        asked_for: Its name on the command line, if it was named there.

    Raises:
        TaskError: For a prompt that lacks its place, ids that stand twice, and the name ``joint``.
    """

    name: str
    questions: tuple[Question, ...]
    source: str
    licence: str
    default_format: Format
    prompt: str = "Question: {question}\nAnswer:"
    split: str = "test"
    shots: tuple[Question, ...] = ()
    skipped: tuple[str, ...] = ()
    description: str = ""
    letter: Lettering = Lettering()
    blank: str = ""
    spare_shot: bool = False
    asked_for: str = ""

    def __post_init__(self) -> None:
        if self.name == "joint":
            raise TaskError("No task can be called joint, which stands for all tasks together: give it another NAME.")
        if "{question}" not in self.prompt:
            raise TaskError(
                f"The prompt {self.prompt!r} of task {self.name} lacks {{question}}: say where the question's text "
                "goes."
            )
        ids = Counter(question.id for question in self.questions)
        twice = [name for name, count in ids.items() if count > 1]
        if twice:
            raise TaskError(
                f"Task {self.name} has {len(twice)} ids that stand there more than once ({twice[0]!r} for one): make "
                "them unique."
            )

    @property
    def digest(self) -> str:
        """A fingerprint of everything that is asked: questions, options, gold, groups, wording and worked examples."""
        wording = (self.prompt, self.description, self.letter, self.blank)
        found = hashlib.sha256(repr(wording).encode())
        for part in (self.questions, self.shots):
            for question in part:
                found.update(repr(question).encode())
        return found.hexdigest()[:16]
