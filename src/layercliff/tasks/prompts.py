"""How a question is put to a model: the prompt and its possible continuations."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from layercliff.choices import Format
from layercliff.errors import TaskError
from layercliff.tasks.question import LETTERS, Question, Task

Chat = Callable[[list[dict[str, str]]], str]
"""Renders messages with a chat template, up to where the assistant's answer begins."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The continuations of a question, one per option, and the context of each.

    All contexts are equal unless options fill a blank. `templated` contexts carry their own special tokens.
    """

    contexts: tuple[str, ...]
    continuations: tuple[str, ...]
    templated: bool = False


def ask(
    task: Task, question: Question, form: Format, shots: Sequence[Question] = (), chat: Chat | None = None
) -> Prompt:
    """Put `question` in the format `form`, after worked examples, optionally through a chat template.

    *letter* lists the options with letters and compares the letters. *cloze* and *first_token* do not show the
    options. They compare their texts, or what follows a blank that they fill. Raises `TaskError` for a blank in
    *first_token*.
    """
    if task.blank and form == "first_token":
        raise TaskError(
            f"Task {task.name} cannot be asked as first_token, since its options stand before the text that is "
            "scored: use --format cloze or letter."
        )
    bodies, answers = _bodies(task, question, form), scored(task, question, form)
    description = task.letter.description if form == "letter" else task.description
    described = _fill(description, subject=question.subject)
    if chat is None:
        worked = described + "".join(f"{_solved(task, shot, form)}\n\n" for shot in shots)
        contexts = {body: worked + body for body in bodies}
        return Prompt(tuple(contexts[body] for body in bodies), tuple(f" {answer}" for answer in answers))
    messages = []
    for shot in shots:
        messages += [
            {"role": "user", "content": _bodies(task, shot, form)[shot.gold]},
            {"role": "assistant", "content": scored(task, shot, form)[shot.gold]},
        ]
    rendered: dict[str, str] = {}
    for body in bodies:
        turns = [*messages, {"role": "user", "content": body}]
        turns[0] = {**turns[0], "content": described + turns[0]["content"]}
        rendered.setdefault(body, chat(turns))
    return Prompt(tuple(rendered[body] for body in bodies), answers, templated=True)


def scored(task: Task, question: Question, form: Format) -> tuple[str, ...]:
    """What is compared for each option: its letter, its text, or what follows the blank that it fills."""
    if form == "letter":
        return tuple(LETTERS[: len(question.options)])
    if task.blank:
        return (question.text.partition(task.blank)[2].strip(),) * len(question.options)
    return question.options


def shown(task: Task, questions: Sequence[Question], form: Format) -> tuple[Question, ...]:
    """The questions with their options in the lettered order."""
    if form != "letter" or not task.letter.shuffled:
        return tuple(questions)
    return tuple(map(shuffled, questions))


def shuffled(question: Question) -> Question:
    """The question with its options in an order drawn by its id."""
    order = list(range(len(question.options)))
    random.Random(question.id).shuffle(order)
    return question.reordered(order)


def _solved(task: Task, question: Question, form: Format) -> str:
    return f"{_bodies(task, question, form)[question.gold]} {scored(task, question, form)[question.gold]}"


def _bodies(task: Task, question: Question, form: Format) -> tuple[str, ...]:
    """The question itself, once per option."""
    if form == "letter":
        lines = (
            _fill(task.letter.option, letter=letter, option=option)
            for letter, option in zip(LETTERS, question.options, strict=False)
        )
        body = _fill(task.letter.prompt, question=question.text, options="\n".join(lines))
    elif task.blank:
        before = question.text.partition(task.blank)[0]
        return tuple(_fill(task.prompt, question=before + option) for option in question.options)
    else:
        body = _fill(task.prompt, question=question.text)
    return (body,) * len(question.options)


def _fill(template: str, **values: str) -> str:
    """Replace names in braces by values. Braces in the values stay."""
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), template)
