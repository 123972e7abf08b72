"""A question that cannot be asked is refused with the field that is wrong."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from layercliff.errors import TaskError
from layercliff.tasks.question import Lettering, Question, Task


@pytest.mark.parametrize(
    ("text", "options", "gold", "reason"),
    [
        (" ", ("a", "b"), 0, "the text is empty"),
        ("q", ("a",), 0, "1 options, but 2 to 26"),
        ("q", tuple(map(str, range(27))), 0, "27 options"),
        ("q", ("a", "  "), 0, "option B is empty"),
        ("q", ("a", "b"), 2, "the gold option 2 is not among the 2 options"),
        ("q", ("a", "b"), -1, "the gold option -1 is not among"),
    ],
)
def test_refusals(text: str, options: tuple[str, ...], gold: int, reason: str) -> None:
    with pytest.raises(TaskError, match=reason):
        Question("id", text, options, gold, "g")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": "\ud83d"}, "lone surrogate"),
        ({"options": ("a", "\ud83d")}, "lone surrogate"),
        ({"gold": 10**5000}, "the gold option a number of about .* digits is not among"),
    ],
)
def test_refusals_of_what_is_no_text(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(TaskError, match=reason):
        replace(Question("id", "q", ("a", "b"), 0, "g"), **changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"group": 3}, "question 'id': 3 is no text"), ({"options": "ab"}, "the options are one text")],
)
def test_refusals_where_no_checker_looks_at_types(changes: dict[str, Any], reason: str) -> None:
    given = {"id": "id", "text": "q", "options": ("a", "b"), "gold": 0, "group": "g", "subject": ""} | changes
    with pytest.raises(TaskError, match=reason):
        Question._check_texts(SimpleNamespace(**given))  # type: ignore[arg-type]


def test_the_name_of_all_tasks_together_is_no_task(colours: Task) -> None:
    with pytest.raises(TaskError, match="stands for all tasks together"):
        replace(colours, name="joint")


def test_ids_are_unique() -> None:
    question = Question("same", "q", ("a", "b"), 0, "g")
    with pytest.raises(TaskError, match="more than once"):
        Task("t", (question, question), "s", "l", "cloze")


def test_digest_sees_everything_that_is_asked(colours: Task) -> None:
    from dataclasses import replace

    first, *rest = colours.questions
    others = [
        replace(colours, prompt="{question}"),
        replace(colours, letter=Lettering(option="{letter}) {option}")),
        replace(colours, questions=tuple(rest)),
        replace(colours, questions=(replace(first, gold=(first.gold + 1) % 2), *rest)),
        replace(colours, questions=tuple(rest), shots=(first,)),
    ]
    assert len({task.digest for task in [colours, *others]}) == 6
    assert replace(colours, source="elsewhere").digest == colours.digest


def test_prompt_must_hold_the_question(colours: Task) -> None:
    with pytest.raises(TaskError, match=r"lacks \{question\}"):
        Task("t", colours.questions, "s", "l", "cloze", prompt="Answer:")
    with pytest.raises(TaskError, match=r"lacks \{options\}"):
        Lettering("{question}")
