"""Unforeseen errors: one sentence for the user, and a traceback in a file."""

import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from layercliff import cache, interrupts, machine
from layercliff.errors import Fault, LayercliffError

FOLDER = "faults"  # below the cache directory
LONGEST = 300  # characters of an error that a sentence repeats
met: list[Exception] = []  # all that the net has caught; tests count them


@contextmanager
def contained() -> Iterator[None]:
    """Turn any exception of one part of a run into a refusal, so that other parts go on."""
    try:
        yield
    except Exception as error:
        if interrupts.asked():  # an interrupted import, for one, ends in an error of another kind
            raise interrupts.Interrupted from error
        raise refusal(error) from error


def refusal(error: Exception) -> LayercliffError:
    """What to tell of an exception: a refusal, a lack of memory, or a `Fault` with a traceback."""
    if isinstance(error, LayercliffError):
        return error
    if machine.out_of_memory(error):
        return LayercliffError(
            f"There is not enough memory ({_said(error)}): give a smaller --batch-tokens or --memory-gb, store "
            "weights with "
            "--weights-dtype bfloat16, or use a larger machine; what was finished is kept."
        )
    return Fault(
        f"This is a fault of layercliff ({_said(error)}): please report it with its traceback, {written(error)}; "
        "what was finished is kept, and the same command goes on from there."
    )


def written(error: BaseException) -> str:
    """Write a traceback to a file. **Returns** where it is, or why it is nowhere, as part of a sentence."""
    if isinstance(error, Exception):
        met.append(error)
    text = f"{' '.join(sys.argv)}\nPython {sys.version}\n\n{''.join(traceback.format_exception(error))}"
    failures = []
    for place in (_kept, _passing):
        try:
            folder = place()
            folder.mkdir(parents=True, exist_ok=True)
            name = f"layercliff-{datetime.now():%Y%m%d-%H%M%S}-"
            with tempfile.NamedTemporaryFile(
                "w", prefix=name, suffix=".txt", dir=folder, delete=False, encoding="utf-8", errors="backslashreplace"
            ) as file:
                file.write(text)
        except (OSError, LayercliffError) as failure:
            failures.append(_said(failure))
        else:
            return f"which is in {file.name}"
    return f"which could not be written ({'; '.join(failures)})"


def _kept() -> Path:
    return cache.directory() / FOLDER


def _passing() -> Path:
    return Path(tempfile.gettempdir())


def _said(error: Exception) -> str:
    """An exception in one line: its type and the first line of its message."""
    lines = traceback.format_exception_only(error)[-1].strip().splitlines() or [type(error).__name__]
    return lines[0] if len(lines[0]) <= LONGEST else f"{lines[0][:LONGEST]}..."
