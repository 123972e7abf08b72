"""What the command line prints: text made safe to show, and streams that cannot show or take it."""

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
"""What such characters are in JSON of ASCII alone."""
PLAINER = {"█": "#", "│": "|", "◄": "<", "±": "+-", "·": "-", "─": "-", "━": "-", "…": "...", "≥": ">=", "×": "x"}
PLAINER |= dict.fromkeys("╭╮╰╯", "+")
REPLACING = "layercliff"  # the name of the codec error handler below


class BrokenPipe(LayercliffError):
    """Whoever read what is printed has gone: there is nothing to say, and nobody to say it to."""

    code = 128 + 13  # as of a process that SIGPIPE ends


def printable(text: str) -> str:
    r"""Text with every control character written out, so that nothing in it can steer a terminal or break a page or a
    figure.

    >>> print(printable("a\x1b[31m\x0cb"))
    a\x1b[31m\x0cb
    """
    return HARMFUL.sub(lambda found: repr(found[0])[1:-1], text.replace("\r\n", "\n"))


def printable_within(value: Any) -> Any:
    """`printable` of every text in dicts and lists."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable_within(name): printable_within(part) for name, part in value.items()}
    return [printable_within(part) for part in value] if isinstance(value, list | tuple) else value


def json_of(value: Any, **options: Any) -> str:
    """JSON in ASCII with every text `printable`. Only what holds a harmful character is looked through, part by
    part."""
    text = json.dumps(value, **options)
    return json.dumps(printable_within(value), **options) if ESCAPED.search(text) else text


def say(text: str, err: bool = False) -> None:
    """Print a line on standard output, or on standard error."""
    print(printable(text), file=sys.stderr if err else sys.stdout, flush=True)


def say_sentence(sentence: str) -> None:
    """Print what the command line ends with on standard error: one line."""
    say("layercliff: " + re.sub(r"\s*\n\s*", " ", sentence.strip()), err=True)


class Channel(io.FileIO):
    """A standard stream that goes on when nobody takes what is written: a run does not end for that, and says so at its
    end."""

    failed: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write, or drop what cannot be written."""
        if self.failed is None:
            try:
                return super().write(data)
            except OSError as error:
                self.failed = error
        return memoryview(data).nbytes


@contextmanager
def channels() -> Iterator[None]:
    """Let the standard streams replace what their encoding lacks, and be `Channel`s, for as long as this is entered."""
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
    """What writes the bytes of a stream; Python leaves out the buffer on request."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def finish() -> None:
    """Write out what standard output holds. Raises `LayercliffError` where it did not take all."""
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
    """What stands for characters that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAINER.get(character, "?") for character in error.object[error.start : error.end]), error.end
