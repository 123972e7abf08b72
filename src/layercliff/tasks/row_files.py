"""Lines of JSONL, records of CSV and lists of JSON, or why one cannot be read."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from layercliff.errors import TaskError, quoted
from layercliff.tasks import local_files
from layercliff.tasks.rows import COLUMNS, FileRow

WHAT = "task file"
LEVELS = 100
"""The deepest nesting of lists and objects."""


def read(name: str | Path) -> Iterator[tuple[int, FileRow | str]]:
    """The rows of a JSONL or CSV file, each with the line that it begins on.

    A row that cannot be read is replaced by the reason, a text. Raises `TaskError` for a file that is missing,
    binary, empty or of another kind, and for a CSV header that lacks a column or names one twice.
    """
    path = local_files.spelt(name, WHAT)
    kind = path.suffix.lower()
    if kind not in (".jsonl", ".csv"):
        raise TaskError(f"The task file {path} is neither .jsonl nor .csv: convert it to one of them.")
    text = local_files.text(local_files.located(path, WHAT), WHAT)
    found: list[tuple[int, FileRow | str]] = list(json_lines(text) if kind == ".jsonl" else _csv(text, path))
    if not found:
        raise TaskError(f"The task file {path} holds no question: write one a line.")
    yield from found


def read_json(name: str | Path) -> Iterator[tuple[int, FileRow | str]]:
    """The rows of a ``.json`` file, numbered: a list of objects, or an object a line. Raises `TaskError`."""
    path = local_files.located(name, WHAT)
    text = local_files.text(path, WHAT)
    if not text.lstrip().startswith("["):
        yield from json_lines(text)
        return
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TaskError(f"The task file {path} is no JSON ({local_files.first_line(error)}): mend it.") from error
    for number, row in enumerate(found, 1):
        yield number, row if isinstance(row, dict) else "it is not a JSON object"


def json_lines(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """The object of each non-blank line of JSONL, or why there is none, with the line's number.

    Lines end at line feeds alone: U+2028 and U+0085 may occur in JSON texts.
    """
    for line, content in enumerate(text.split("\n"), 1):
        if content.strip():
            yield line, _object(content)


def _object(content: str) -> dict[str, Any] | str:
    if content.count("[") + content.count("{") > LEVELS and _levels(content) > LEVELS:
        return f"it has more than {LEVELS} lists and objects within one another"
    try:
        found = json.loads(content, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        return f"it is no JSON ({error.msg.removesuffix(' at')} at column {error.colno})"
    except _Twice as error:
        return f"it names the field {quoted(str(error))} twice"
    except ValueError:
        return "it holds a number of more than 4,300 digits"
    return found if isinstance(found, dict) else "it is not a JSON object"


class _Twice(Exception):
    """A field that an object names twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Twice(Counter(name for name, _ in pairs).most_common(1)[0][0])
    return found


def _levels(content: str) -> int:
    """The deepest nesting of brackets outside of JSON texts."""
    most = depth = 0
    inside = escaped = False
    for character in content:
        if inside:
            inside = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            most = max(most, depth)
        elif character in "]}":
            depth -= 1
    return most


def _csv(text: str, path: Path) -> Iterator[tuple[int, FileRow | str]]:
    """The records after the header. After one that cannot be read, the next line begins another."""
    lines = io.StringIO(text).readlines()  # unlike splitlines, at line feeds alone
    if not lines:
        return
    header, begin = _record(lines, 0)
    if isinstance(header, str):
        raise TaskError(f"The first line of {path}, which names its columns, cannot be read, since {header}: mend it.")
    _check(header, path)
    while begin < len(lines):
        record, end = _record(lines, begin)
        if isinstance(record, str):
            yield begin + 1, record
        elif record and len(record) != len(header):
            yield begin + 1, f"it has {len(record)} columns and the header {len(header)}"
        elif record:
            yield begin + 1, dict(zip(header, record, strict=True))
        begin = end


def _record(lines: list[str], begin: int) -> tuple[list[str] | str, int]:
    """The record that begins at a line, or why there is none, and the next line's index."""
    reader = csv.reader((lines[line] for line in range(begin, len(lines))), strict=True)
    try:
        record = next(reader)
    except csv.Error as error:
        if "field larger" in str(error):
            most = csv.field_size_limit()
            return f"it has a cell of more than {most:,} characters, or a quote that is not closed", begin + 1
        if reader.line_num > 1 or "unexpected end" in str(error):
            return "it has a quote that is not closed", begin + 1
        return f"it has a quote in a wrong place ({error}): double the quotes inside a quoted cell", begin + 1
    return record, begin + reader.line_num


def _check(header: list[str], path: Path) -> None:
    """Refuse a header that lacks a column or names one twice. Raises `TaskError`."""
    for wanted in COLUMNS:
        if not set(wanted) & set(header):
            raise TaskError(
                f"The first line of {path} must name its columns, joined by commas: question (or prompt), answer, and "
                f"options or option_a, option_b, ... (or choices, or A, B, ...); it is {quoted(','.join(header), 200)}."
            )
    if twice := [name for name, count in Counter(header).items() if count > 1]:
        raise TaskError(f"The first line of {path} names the column {quoted(twice[0])} twice: leave one out.")
