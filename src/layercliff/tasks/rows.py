"""Rows of question files, in the layouts people have, made into questions.

Layouts understood, told apart by their fields:

* layercliff: ``question``, ``options`` (a list; in CSV a JSON list, or columns ``option_a``, ``option_b``, ...), ``answer``
  (0-based position, letter, or the option's text), optional ``id`` and ``group``;
* AI2: ``question: {stem, choices: [{text, label}]}``, ``answerKey``;
* Hugging Face: ``question``, ``choices: {text: [...], label: [...]}``, ``answerKey``.
"""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from layercliff.errors import TaskError
from layercliff.tasks.question import LETTERS, Question

Row = dict[str, Any]
Make = Callable[[Row, str], Question]
"""Makes a row into a question that is named, unless the row has a name, as the second argument says; raises `TaskError` with the reason."""


def read(path: Path) -> Iterator[tuple[int, Row | str]]:
    """The rows of a JSONL or CSV file with the line each begins on; a line that cannot be parsed comes as the reason, a string.

    Raises `TaskError` for a missing, binary, empty or unknown kind of file, and for a CSV header that lacks a column or names one twice.
    """
    if path.suffix not in (".jsonl", ".csv"):
        raise TaskError(f"The task file {path} is neither .jsonl nor .csv: convert it to one of them.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise TaskError(f"There is no task file {path}: check the path.") from error
    except (UnicodeDecodeError, OSError) as error:
        raise TaskError(f"The task file {path} cannot be read as UTF-8 text ({error}): save it as UTF-8.") from error
    found = list(_jsonl(text) if path.suffix == ".jsonl" else _csv(text, path))
    if not found:
        raise TaskError(f"The task file {path} holds no question: write one a line.")
    yield from found


def _jsonl(text: str) -> Iterator[tuple[int, Row | str]]:
    for line, content in enumerate(text.split("\n"), 1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except json.JSONDecodeError as error:
            yield line, f"it is no JSON ({error.msg} at column {error.colno})"
            continue
        yield line, row if isinstance(row, dict) else "it is not a JSON object"


def _csv(text: str, path: Path) -> Iterator[tuple[int, Row | str]]:
    reader = csv.DictReader(io.StringIO(text))
    header = list(reader.fieldnames or ())
    if header and not ({"question", "answer"} <= set(header) and {"options", "option_a"} & set(header)):
        raise TaskError(
            f"The first line of {path} must name its columns, joined by commas: question, answer, and options or option_a, option_b, ...; it is {','.join(header)!r}."
        )
    if twice := [name for name, count in Counter(header).items() if count > 1]:
        raise TaskError(f"The first line of {path} names the column {twice[0]!r} twice: leave one out.")
    begin = 2
    for row in reader:
        if None in row or None in row.values():
            yield begin, f"it has another number of columns than the header's {len(reader.fieldnames or ())}"
        else:
            yield begin, row
        begin = reader.line_num + 1


def digest(table: Iterable[Row | str]) -> str:
    """A fingerprint of rows in their order, whatever file holds them."""
    found = hashlib.sha256()
    for row in table:
        found.update(json.dumps(row, sort_keys=True).encode())
    return found.hexdigest()[:16]


def question(row: Row, default_id: str) -> Question:
    """Make one row of a user's file into a question. Raises `TaskError` with the reason."""
    name = str(row.get("id") or default_id)
    if "answerKey" in row:
        found = labelled(row, default_id)
    else:
        options = _options(row)
        found = Question(name, text_of(row, "question"), options, _gold(row, options), str(row.get("group") or name))
    twice = [option for option, count in Counter(found.options).items() if count > 1]
    if twice:
        raise TaskError(f"question {found.id}: the option {twice[0]!r} stands there twice")
    return found


def questions(
    rows: Iterable[tuple[int, Row | str]], where: str, skip_bad: bool, make: Make = question
) -> tuple[tuple[Question, ...], tuple[str, ...]]:
    """Make rows into questions; ids default to the line's number.

    **Returns** the questions and a sentence per row left out. A bad row raises `TaskError` with its line and reason
    unless `skip_bad`.
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
                raise TaskError(f"the id {found.id!r} stands there twice")
            seen.add(found.id)
            good.append(found)
        except TaskError as error:
            if not skip_bad:
                raise TaskError(
                    f"{where}, line {line}: {error}. Mend the row, or leave bad rows out with --skip-bad-rows."
                ) from error
            bad.append(f"line {line}: {error}")
    return tuple(good), tuple(bad)


def labelled(row: Row, default_id: str) -> Question:
    """Make a row in AI2's or Hugging Face's layout of ARC into a question. Raises `TaskError` with the reason."""
    text, options, labels = _labelled(row)
    key = str(row["answerKey"]).lstrip()
    if key not in labels:
        raise TaskError(f"the answer {key!r} is not among the labels {', '.join(labels)}")
    name = str(row.get("id") or default_id)
    return Question(name, text, options, labels.index(key), str(row.get("group") or name))


def _labelled(row: Row) -> tuple[str, tuple[str, ...], list[str]]:
    try:
        if isinstance(row["question"], dict):
            choices = row["question"]["choices"]
            return (
                str(row["question"]["stem"]),
                tuple(str(c["text"]) for c in choices),
                [str(c["label"]) for c in choices],
            )
        choices = row["choices"]
        return str(row["question"]), tuple(map(str, choices["text"])), list(map(str, choices["label"]))
    except (KeyError, TypeError) as error:
        raise TaskError(
            f"it has an answerKey but neither AI2's nor Hugging Face's fields of ARC ({error} is missing)"
        ) from error


def text_of(row: Row, name: str) -> str:
    """A field that must be a text. Raises `TaskError` where it is not."""
    if not isinstance(row.get(name), str):
        raise TaskError(f"the field {name!r} is missing or no text")
    return str(row[name])


def _options(row: Row) -> tuple[str, ...]:
    if "options" in row:
        options = row["options"]
        if isinstance(options, str):
            try:
                options = json.loads(options)
            except json.JSONDecodeError as error:
                raise TaskError("the field 'options' is no JSON list") from error
        if not isinstance(options, list) or not all(isinstance(o, str) for o in options):
            raise TaskError("the field 'options' is no list of texts")
        return tuple(options)
    columns = [f"option_{letter.lower()}" for letter in LETTERS]
    present = [row[column] for column in columns if column in row]
    if not present:
        raise TaskError(
            f"there is neither a field 'options' nor columns 'option_a', 'option_b', ..., but {', '.join(map(repr, row))}"
        )
    while present and not present[-1]:  # a question with fewer options than the file has columns
        present.pop()
    return tuple(present)


def _gold(row: Row, options: tuple[str, ...]) -> int:
    answer = row.get("answer")
    if isinstance(answer, bool) or not isinstance(answer, int | str) or answer == "":
        raise TaskError(
            "the field 'answer' is missing: give a position from 0, a letter, or an option's text"
            if answer is None or answer == ""
            else f"the field 'answer' is {answer!r}, which is neither a position from 0, a letter nor an option's text"
        )
    readings = set()
    if isinstance(answer, int):
        readings.add(answer)
    else:
        if answer in options:
            readings.add(options.index(answer))
        if len(answer) == 1 and answer in LETTERS:
            readings.add(LETTERS.index(answer))
        if answer.isdecimal():
            readings.add(int(answer))
    possible = {r for r in readings if 0 <= r < len(options)}
    if not possible:
        raise TaskError(f"the answer {answer!r} is not among the {len(options)} options")
    if len(possible) > 1:
        raise TaskError(
            f"the answer {answer!r} can be read as option {' or '.join(LETTERS[r] for r in sorted(possible))}: give its 0-based position as a number"
        )
    return possible.pop()
