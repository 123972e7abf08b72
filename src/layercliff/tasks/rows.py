"""Rows of question files, in several layouts, made into questions.

Layouts, told apart by their fields:

* layercliff: ``question``, ``options``, ``answer``, optional ``id`` and ``group``. ``options`` is a list. In CSV a
  JSON
list, or columns ``option_a``, ``option_b``, ... ``answer`` is a 0-based position, a letter, or the option's text.
* The same with ``prompt`` for the question, or with ``choices`` or columns ``A``, ``B``, ... for the options.
* AI2: ``question: {stem, choices: [{text, label}]}``, ``answerKey``.
* Hugging Face: ``question``, ``choices: {text: [...], label: [...]}``, ``answerKey``.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from layercliff.errors import TaskError, quoted
from layercliff.tasks.question import LETTERS, Question

FileRow = dict[str, Any]
MakeQuestion = Callable[[FileRow, str], Question]
"""Makes a question of a row. The second argument is its id unless the row has one.

Raises `TaskError` with the reason.
"""

TEXT, LISTS = ("question", "prompt"), ("options", "choices")
"""Possible names of the fields for the text and for the options. The first one present is taken."""
SERIES = (tuple(f"option_{letter.lower()}" for letter in LETTERS), tuple(LETTERS))
"""Possible names of the columns of options."""
COLUMNS = (TEXT, ("answer",), (*LISTS, *(names[0] for names in SERIES)))
"""A CSV file has one of each of these."""


def digest(table: Iterable[FileRow | str]) -> str:
    """A fingerprint of rows in their order, independent of the file format."""
    found = hashlib.sha256()
    for row in table:
        found.update(json.dumps(row, sort_keys=True).encode())
    return found.hexdigest()[:16]


def question(row: FileRow, default_id: str) -> Question:
    """Make a question of one row of a user's file. Raises `TaskError` with the reason."""
    if "answerKey" in row:
        found = labelled(row, default_id)
    else:
        options, name = _options(row), name_of(row, "id", default_id)
        text = text_of(row, _first(row, TEXT) or "question")
        found = Question(name, text, options, _gold(row, options), name_of(row, "group", name))
    if (twice := repeated(found.options)) is not None:
        raise TaskError(f"question {quoted(found.id)}: the option {quoted(twice)} stands there twice")
    return found


def repeated(values: Sequence[str]) -> str | None:
    """The first value that occurs more than once."""
    return next((value for value, count in Counter(values).items() if count > 1), None)


def name_of(row: FileRow, field: str, default: str) -> str:
    """A field that is a text or a number. The default where it is missing, null or empty.

    Raises `TaskError` for anything else.
    """
    value = row.get(field)
    if value is None or value == "":
        return default
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TaskError(f"the field {field!r} is {quoted(value)}, which is neither a text nor a number")
    return str(value)


def questions(
    rows: Iterable[tuple[int, FileRow | str]], where: str, skip_bad: bool, make: MakeQuestion = question
) -> tuple[tuple[Question, ...], tuple[str, ...]]:
    """Make questions of rows; ids default to the line's number.

    Returns:
        The questions and a sentence per row left out. A bad row raises `TaskError` with its line and reason, unless
            `skip_bad`. So does a file with bad rows only.
    """
    good: list[Question] = []
    bad: list[str] = []
    seen: set[str] = set()
    for line, row in rows:
        try:
            if isinstance(row, str):
                raise TaskError(row)
            found = make(row, str(line))
            if found.id in seen:
                raise TaskError(f"the id {quoted(found.id)} stands there twice")
            seen.add(found.id)
            good.append(found)
        except TaskError as error:
            if not skip_bad:
                raise TaskError(
                    f"{where}, line {line}: {error}. Mend the row, or leave bad rows out with --skip-bad-rows."
                ) from error
            bad.append(f"line {line}: {error}")
    if bad and not good:
        raise TaskError(f"{where} holds no row that can be read ({bad[0]}): mend the rows.")
    return tuple(good), tuple(bad)


def labelled(row: FileRow, default_id: str) -> Question:
    """Make a question of a row in AI2's or Hugging Face's layout of ARC. Raises `TaskError` with the reason."""
    text, options, labels = _labelled(row)
    if len(options) != len(labels):
        raise TaskError(f"it has {len(options)} options and {len(labels)} labels: give one of each")
    if (twice := repeated(labels)) is not None:
        raise TaskError(f"the label {quoted(twice)} stands there twice")
    key = name_of(row, "answerKey", "").lstrip()
    if not key:
        raise TaskError("the field 'answerKey' is missing: give the label of the right option")
    if key not in labels:
        raise TaskError(f"the answer {quoted(key)} is not among the labels {', '.join(labels)[:80]}")
    name = name_of(row, "id", default_id)
    return Question(name, text, options, labels.index(key), name_of(row, "group", name))


def _labelled(row: FileRow) -> tuple[str, tuple[str, ...], list[str]]:
    """The text, the options and their labels."""
    asked, choices = row.get("question"), row.get("choices")
    if isinstance(asked, dict):
        every = asked.get("choices")
        if not isinstance(every, list) or not all(isinstance(one, dict) for one in every):
            raise TaskError("it has an answerKey, but the field 'question.choices' is no list of objects")
        choices = {name: [one.get(name) for one in every] for name in ("text", "label")}
        text = text_of(asked, "stem")
    elif isinstance(choices, dict):
        text = text_of(row, "question")
    else:
        raise TaskError("it has an answerKey but neither AI2's nor Hugging Face's fields of ARC")
    labels = choices.get("label")
    if not isinstance(labels, list):
        raise TaskError("the field 'label' of its choices is missing or no list")
    return text, texts_of(choices, "text"), [_label(one) for one in labels]


def _label(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise TaskError(f"the label {quoted(value)} is neither a text nor a number")
    return str(value)


def text_of(row: FileRow, name: str) -> str:
    """A field that must be a text. Raises `TaskError` where it is not."""
    if not isinstance(row.get(name), str):
        raise TaskError(f"the field {name!r} is missing or no text")
    return str(row[name])


def texts_of(row: FileRow, name: str) -> tuple[str, ...]:
    """A field that must be a list of texts. Raises `TaskError` where it is not."""
    found = row.get(name)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise TaskError(f"the field {name!r} is missing or no list of texts")
    return tuple(found)


def place_of(value: object) -> int | None:
    """A position: a number, its digits, or a boolean. None otherwise."""
    if isinstance(value, int):
        return int(value)
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 10 else None


def _first(row: FileRow, names: Iterable[str]) -> str | None:
    return next((name for name in names if name in row), None)


def _options(row: FileRow) -> tuple[str, ...]:
    name = _first(row, LISTS)
    if name is None:
        return _columns(row)
    if not isinstance(row[name], str):
        return texts_of(row, name)
    try:
        listed = json.loads(row[name])
    except (ValueError, RecursionError) as error:
        raise TaskError(f"the field {name!r} is no JSON list") from error
    return texts_of({name: listed}, name)


def _columns(row: FileRow) -> tuple[str, ...]:
    """Options from a column each. Empty ones at the end are dropped."""
    names = next((names for names in SERIES if names[0] in row), None)
    if names is None:
        raise TaskError(
            "there is neither a field 'options' nor columns 'option_a', 'option_b', ..., "
            f"but {', '.join(map(repr, row))[:200]}"
        )
    there = [name in row for name in names]
    n = there.index(False) if False in there else len(names)
    if any(there[n:]):
        raise TaskError(f"there is no column {names[n]!r}, but one after it")
    present = [row[name] for name in names[:n]]
    while present and present[-1] in (None, ""):  # a question with fewer options than the file has columns
        present.pop()
    if wrong := [name for name, value in zip(names, present, strict=False) if not isinstance(value, str)]:
        raise TaskError(f"the field {wrong[0]!r} is {quoted(row[wrong[0]])}, which is no text")
    return tuple(present)


def _gold(row: FileRow, options: tuple[str, ...]) -> int:
    answer = row.get("answer")
    if answer is None or answer == "":
        raise TaskError("the field 'answer' is missing: give a position from 0, a letter, or an option's text")
    if isinstance(answer, bool) or not isinstance(answer, int | str):
        raise TaskError(
            f"the field 'answer' is {quoted(answer)}, which is neither a position from 0, a letter nor an option's text"
        )
    readings = {place_of(answer)}
    if isinstance(answer, str):
        if answer in options:
            readings.add(options.index(answer))
        if len(answer) == 1 and answer in LETTERS:
            readings.add(LETTERS.index(answer))
    possible = {place for place in readings if place is not None and 0 <= place < len(options)}
    if not possible:
        raise TaskError(f"the answer {quoted(answer)} is not among the {len(options)} options")
    if len(possible) > 1:
        raise TaskError(
            f"the answer {quoted(answer)} can be read as option {' or '.join(LETTERS[p] for p in sorted(possible))}: "
            "give its 0-based position as a number"
        )
    return possible.pop()
