"""The record of one multiple-choice question, and the task that holds many."""

import hashlib
import string
from collections import Counter
from dataclasses import dataclass

from layercliff.choices import Format
from layercliff.errors import TaskError

LETTERS = string.ascii_uppercase


@dataclass(frozen=True, slots=True)
class Question:
    """A question with K = 2..26 options.

    `gold` is the 0-based position of the right option; questions that share a `group` are not independent: they are
    resampled and split together. Raises `TaskError` naming the field that is wrong.
    """

    id: str
    text: str
    options: tuple[str, ...]
    gold: int
    group: str

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise TaskError(f"question {self.id}: the text is empty")
        if not 2 <= len(self.options) <= len(LETTERS):
            raise TaskError(f"question {self.id}: {len(self.options)} options, but 2 to {len(LETTERS)} are possible")
        if any(not option.strip() for option in self.options):
            raise TaskError(
                f"question {self.id}: option {LETTERS[[not o.strip() for o in self.options].index(True)]} is empty"
            )
        twice = [option for option, count in Counter(self.options).items() if count > 1]
        if twice:
            raise TaskError(f"question {self.id}: the option {twice[0]!r} stands there twice")
        if not 0 <= self.gold < len(self.options):
            raise TaskError(
                f"question {self.id}: the gold option {self.gold} is not among the {len(self.options)} options"
            )


@dataclass(frozen=True)
class Task:
    """Questions of one kind.

    `prompt` is the text asked in *cloze* and *first_token*, with ``{question}`` in it; `shots` is a pool of worked examples
    disjoint from `questions` (a validation split, say); where it is empty, examples are set aside from the questions.
    `skipped` lists rows left out on the user's word, with reasons.
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

    def __post_init__(self) -> None:
        if "{question}" not in self.prompt:
            raise TaskError(
                f"The prompt {self.prompt!r} of task {self.name} lacks {{question}}: say where the question's text goes."
            )
        ids = Counter(question.id for question in self.questions)
        twice = [name for name, count in ids.items() if count > 1]
        if twice:
            raise TaskError(
                f"Task {self.name} has {len(twice)} ids that stand there more than once ({twice[0]!r} for one): make them unique."
            )

    @property
    def digest(self) -> str:
        """A fingerprint of everything that is asked: questions, options, gold, groups, prompt and worked examples."""
        found = hashlib.sha256(self.prompt.encode())
        for part in (self.questions, self.shots):
            for question in part:
                found.update(
                    repr((question.id, question.text, question.options, question.gold, question.group)).encode()
                )
        return found.hexdigest()[:16]
