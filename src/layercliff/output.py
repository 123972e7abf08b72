"""What the command line prints: text made safe, and streams that may fail."""

import codecs
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from layercliff.errors import LayercliffError

HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
ESCAPED = re.compile(r"\\u00[0189]|\\u007f|\\u202[a-e]|\\u206[6-9]|\\ud[89a-f]|\\ufff[ef]|\\[bfr]")
"""Harmful characters, as ASCII JSON writes them."""
PLAINER = {"█": "#", "│": "|", "◄": "<", "±": "+-", "·": "-", "─": "-", "━": "-", "…": "...", "≥": ">=", "×": "x"}
PLAINER |= dict.fromkeys("╭╮╰╯", "+")
REPLACING = "layercliff"  # the name of the codec error handler below


class BrokenPipe(LayercliffError):
    """The reader of standard output has gone."""

    code = 128 + 13  # as of a process that SIGPIPE ends


def printable(text: str) -> str:
    r"""Text with every control character escaped, so that it cannot steer a terminal or break a page.

    >>> print(printable("a\x1b[31m\x0cb"))
    a\x1b[31m\x0cb
    """
    return HARMFUL.sub(lambda found: repr(found[0])[1:-1], text.replace("\r\n", "\n"))


def printable_within(value: Any) -> Any:
    """`printable` for every text in dicts and lists."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable_within(name): printable_within(part) for name, part in value.items()}
    return [printable_within(part) for part in value] if isinstance(value, list | tuple) else value


def json_of(value: Any, **options: Any) -> str:
    """ASCII JSON with every text `printable`."""
    text = json.dumps(value, **options)
    return json.dumps(printable_within(value), **options) if ESCAPED.search(text) else text


def say(text: str, err: bool = False) -> None:
    """Print a line on standard output, or on standard error."""
    print(printable(text), file=sys.stderr if err else sys.stdout, flush=True)


def say_sentence(sentence: str) -> None:
    """Print the last line of a command on standard error."""
    say("layercliff: " + re.sub(r"\s*\n\s*", " ", sentence.strip()), err=True)


class Channel(io.FileIO):
    """A standard stream that goes on where writing fails. The run continues and reports it at its end."""

    failed: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write, or drop the data where writing fails."""
        if self.failed is None:
            try:
                return super().write(data)
            except OSError as error:
                self.failed = error
        return memoryview(data).nbytes


@contextmanager
def channels() -> Iterator[None]:
    """Make the standard streams `Channel`s that replace characters their encoding lacks."""
    codecs.register_error(REPLACING, _plainer)
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, or the next file would become this stream
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _lasting(sys.stdout), _lasting(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _lasting(stream: Any) -> Any:
    if isinstance(_raw(stream), io.FileIO):
        stream.flush()
        channel = io.BufferedWriter(Channel(stream.fileno(), "wb", closefd=False))
        return io.TextIOWrapper(channel, stream.encoding, REPLACING, line_buffering=True)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=REPLACING)
    return stream


def _raw(stream: Any) -> object:
    """What writes the bytes of a stream. Python has no buffer there on request."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def finish() -> None:
    """Flush standard output. Raises `LayercliffError` where it failed."""
    if sys.stdout is None:
        return
    sys.stdout.flush()
    error = getattr(_raw(sys.stdout), "failed", None)
    if isinstance(error, BrokenPipeError):
        raise BrokenPipe("Nobody reads what is printed.")
    if error is not None:
        raise LayercliffError(
            f"What is printed cannot be written ({error.strerror}): what was computed is kept, "
            "and the same command prints it again."
        )


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """Replacements for characters that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAINER.get(character, "?") for character in error.object[error.start : error.end]), error.end
