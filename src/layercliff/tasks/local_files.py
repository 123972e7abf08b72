"""Files that users name: found and read whole, or refused."""

import os
from pathlib import Path

import polars as pl

from layercliff.errors import TaskError, quoted
from layercliff.tasks.question import is_whole

WHOLE = 2**31
"""The largest file of questions or text, in bytes."""


def located(name: str | Path, what: str) -> Path:
    """The path of an existing ordinary file. `what` is its name in a refusal, such as ``task file``.

    Raises `TaskError`.
    """
    path = spelt(name, what)
    try:
        if path.is_dir():
            raise TaskError(f"The {what} {path} is a directory: give the path of a file.")
        if path.is_file():
            return path
        there = os.path.lexists(path)
    except OSError as error:
        raise TaskError(
            f"The {what} {quoted(str(path))} cannot be opened ({error.strerror}): check the path."
        ) from error
    if there:
        raise TaskError(f"The {what} {path} is a link that leads nowhere, or no ordinary file: give a file.")
    raise TaskError(f"There is no {what} {quoted_path(path)}: check the path.")


def spelt(name: str | Path, what: str) -> Path:
    """The path of a name, with ``~`` expanded. Raises `TaskError` for a name that is not UTF-8."""
    text = str(name)
    if not is_whole(text):
        raise TaskError(f"The name of the {what} {quoted(text)} is not UTF-8: rename the file.")
    if "\0" in text:
        raise TaskError(f"The name of the {what} {quoted(text)} holds a NUL: give the path of a file.")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise TaskError(
            f"The {what} {quoted(text)} begins with ~, but there is no such home: give the path."
        ) from error


def quoted_path(path: Path) -> str:
    """A path in a sentence, shortened where it is very long."""
    text = str(path)
    return text if len(text) <= 200 else quoted(text)


def exists(name: str) -> bool:
    """Whether a file or directory exists; False for impossible names."""
    try:
        return Path(name).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def is_directory(path: Path) -> bool:
    """Whether a directory exists; False for impossible names."""
    return exists(str(path)) and path.is_dir()


def text(path: Path, what: str) -> str:
    """The text of a UTF-8 file, without a byte order mark, with line feeds. Raises `TaskError`."""
    try:
        if path.stat().st_size > WHOLE:
            raise TaskError(f"The {what} {path} is larger than 2 GiB, which is read at once: cut it into several.")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TaskError(
            f"The {what} {path} cannot be read as UTF-8 text (byte {error.start} is "
            f"0x{error.object[error.start]:02x}): "
            "save it as UTF-8."
        ) from error
    except OSError as error:
        raise TaskError(f"The {what} {path} cannot be read ({error.strerror}): check that it may be.") from error


def parquet(path: Path, what: str, columns: list[str] | None = None) -> pl.DataFrame:
    """The table of a Parquet file, opened as a file and not as a pattern. Raises `TaskError`."""
    try:
        with path.open("rb") as file:
            return pl.read_parquet(file, columns=columns)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise TaskError(
            f"The {what} {path} cannot be read as Parquet ({first_line(error)}): get it again, or write it anew."
        ) from error


def first_line(error: BaseException) -> str:
    """A library's error message in one line, without a full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".: ")
