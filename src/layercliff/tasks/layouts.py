"""Rows of benchmarks in Hugging Face's layouts, made into questions as lm-evaluation-harness reads them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from layercliff.errors import TaskError, quoted
from layercliff.tasks.question import Question
from layercliff.tasks.rows import FileRow, labelled, name_of, place_of, text_of, texts_of

BLANK = "_"
BRACKETS = re.compile(r"\[.*?\]")


def hellaswag(row: FileRow, line: str) -> Question:
    """HellaSwag (Zellers et al. 2019): the activity, the two parts of its context, four endings.

    Clips and articles may be cut into several questions.
    """
    context = f"{text_of(row, 'ctx_a')} {text_of(row, 'ctx_b').capitalize()}"
    text = without_brackets(f"{text_of(row, 'activity_label')}: {context}")
    options = tuple(without_brackets(ending) for ending in texts_of(row, "endings"))
    return Question(line, text, options, position(row, "label", len(options)), text_of(row, "source_id"))


def without_brackets(text: str) -> str:
    """HellaSwag's clean-up in lm-evaluation-harness.

    What stands before a removed bracket is not stripped again, nor are three spaces made one.
    """
    text = text.strip().replace(" [title]", ". ")
    return (BRACKETS.sub("", text) if "[" in text else text).replace("  ", " ")


def piqa(row: FileRow, line: str) -> Question:
    """PIQA (Bisk et al. 2020): a goal, two ways. Several rows may have one goal."""
    goal = text_of(row, "goal")
    return Question(line, goal, (text_of(row, "sol1"), text_of(row, "sol2")), position(row, "label", 2), goal)


def winogrande(row: FileRow, line: str) -> Question:
    """WinoGrande (Sakaguchi et al. 2020): a sentence with a blank, two names for it."""
    text = text_of(row, "sentence")
    _, blank, after = text.partition(BLANK)
    if not blank or not after.strip():
        raise TaskError("the field 'sentence' has no blank '_' with text after it")
    return Question(
        line, text, (text_of(row, "option1"), text_of(row, "option2")), position(row, "answer", 2, first=1), line
    )


def twins(questions: Sequence[Question]) -> tuple[Question, ...]:
    """Put neighbours with the same two options into one group.

    WinoGrande's sentences were written in pairs that differ in a word, and stand together.
    """
    runs = groupby(questions, key=lambda question: frozenset(question.options))
    return tuple(
        replace(question, group=run[0].id) for run in (list(members) for _, members in runs) for question in run
    )


def boolq(row: FileRow, line: str) -> Question:
    """BoolQ (Clark et al. 2019) as SuperGLUE has it: a passage, a question without its mark, no or yes."""
    passage = text_of(row, "passage")
    name = name_of(row, "idx", line)
    return Question(
        name, f"{passage}\nQuestion: {text_of(row, 'question')}?", ("no", "yes"), position(row, "label", 2), passage
    )


def openbookqa(row: FileRow, line: str) -> Question:
    """OpenBookQA (Mihaylov et al. 2018), in Hugging Face's layout or AI2's: the beginning of a sentence, four ends."""
    found = labelled({**row, "question": row.get("question_stem", row.get("question"))}, line)
    return replace(found, group=found.text)


def commonsense_qa(row: FileRow, line: str) -> Question:
    """CommonsenseQA (Talmor et al. 2019): five options, some of which stand there twice."""
    found = labelled(row, line)
    return replace(found, text=found.text.strip())


def social_iqa(row: FileRow, line: str) -> Question:
    """Social IQa (Sap et al. 2019): a situation, a question about it, three answers. Situations come up again."""
    situation = text_of(row, "context")
    options = tuple(text_of(row, f"answer{letter}") for letter in "ABC")
    text = f"{situation} {text_of(row, 'question')}"
    return Question(line, text, options, position(row, "label", 3, first=1), situation)


def sciq(row: FileRow, line: str) -> Question:
    """SciQ (Welbl et al. 2017): a passage that supports the answer (or none), a question, the right option last."""
    support = text_of(row, "support").lstrip()
    options = tuple(text_of(row, name) for name in ("distractor1", "distractor2", "distractor3", "correct_answer"))
    return Question(line, f"{support}\nQuestion: {text_of(row, 'question')}", options, 3, support or line)


def mmlu(row: FileRow, line: str) -> Question:
    """MMLU (Hendrycks et al. 2021): a question of a subject, four options."""
    subject, options = text_of(row, "subject"), texts_of(row, "choices")
    gold = position(row, "answer", len(options))
    name = f"{subject}/{line}"
    return Question(name, text_of(row, "question").strip(), options, gold, name, subject.replace("_", " "))


def position(row: FileRow, name: str, n: int, first: int = 0) -> int:
    """The right option's place among `n`: a number, its digits, or false and true. Raises `TaskError`."""
    place = place_of(row.get(name))
    if place is None or not 0 <= place - first < n:
        raise TaskError(f"the field {name!r} is {quoted(row.get(name))}, but {first} to {first + n - 1} are possible")
    return place - first
