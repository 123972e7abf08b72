"""How a question is put to a model: the prompt and what may follow it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from layercliff.choices import Format
from layercliff.tasks.question import LETTERS, Question, Task

Chat = Callable[[list[dict[str, str]]], str]
"""Renders messages with a model's chat template, up to where the assistant's answer begins."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """`text` and the continuations it is compared on, one per option. A `templated` text carries its own special tokens."""

    text: str
    continuations: tuple[str, ...]
    templated: bool = False


def ask(
    task: Task, question: Question, form: Format, shots: Sequence[Question] = (), chat: Chat | None = None
) -> Prompt:
    """Put `question` in the format `form`, after worked examples, through a chat template if one is given.

    *letter* lists the options with letters and compares the letters; *cloze* and *first_token* do not show the options and
    compare their texts.
    """
    if chat is None:
        worked = "".join(f"{_body(task, shot, form)} {_answers(shot, form)[shot.gold]}\n\n" for shot in shots)
        return Prompt(worked + _body(task, question, form), tuple(f" {answer}" for answer in _answers(question, form)))
    messages = []
    for shot in shots:
        messages += [
            {"role": "user", "content": _body(task, shot, form)},
            {"role": "assistant", "content": _answers(shot, form)[shot.gold]},
        ]
    messages.append({"role": "user", "content": _body(task, question, form)})
    return Prompt(chat(messages), _answers(question, form), templated=True)


def _body(task: Task, question: Question, form: Format) -> str:
    if form != "letter":
        return task.prompt.replace("{question}", question.text)
    listed = "".join(f"\n {letter}. {option}" for letter, option in zip(LETTERS, question.options, strict=False))
    return f"Question: {question.text}{listed}\nAnswer:"


def _answers(question: Question, form: Format) -> tuple[str, ...]:
    return tuple(LETTERS[: len(question.options)]) if form == "letter" else question.options
