"""Errors of transformers, safetensors, gguf and tokenizers, turned into one sentence."""

import re
import struct
from collections.abc import Callable
from types import TracebackType

from layercliff.errors import LayercliffError, ModelError
from layercliff.machine import out_of_memory

LONGEST = 300  # characters of a library's own words
KINDS = (
    OSError, ValueError, ImportError, LookupError, RuntimeError, TypeError, AttributeError, ArithmeticError,
    AssertionError, EOFError, struct.error,
)  # fmt: skip
LIBRARIES = ("huggingface_hub", "safetensors", "safetensors_rust", "tokenizers", "jinja2", "pydantic_core", "peft")
CODE = "comes with its own code, which is not run unless you trust it: --trust-remote-code."
PREFIX = re.compile(r"^(Class validation error|Validation error) for (validator|field) '\w+': \w+: ")
VAGUE = re.compile(r"[^.:]*(see|look at)[^.]*the above report!?", re.IGNORECASE)  # of a table that nobody is shown


class LibraryErrors:
    """Turn what a library raises while it reads into a `ModelError` that ends in `cure`.

    `part` of the model `name` is read. Without a `part`, `name` is a file. layercliff's own errors pass, and so does
    a GPU that is full. `first` is called after a failure and may raise where another part is to blame.
    """

    def __init__(self, part: str, name: str, cure: str, first: Callable[[], object] = lambda: None) -> None:
        self.part, self.name, self.cure, self.first = part, name, cure, first

    def __enter__(self) -> "LibraryErrors":
        return self

    def __exit__(self, _: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None or not _from_library(error):
            return
        if "trust_remote_code" in str(error):
            raise ModelError(f"{self.name} {CODE}") from error
        self.first()
        what = f"The {self.part} of {self.name}" if self.part else self.name
        raise ModelError(f"{what} cannot be read ({reason(error)}): {self.cure}") from error


def _from_library(error: BaseException) -> bool:
    """Whether a library may raise `error` for what it reads. tokenizers raise a bare `Exception`."""
    if isinstance(error, LayercliffError) or out_of_memory(error):
        return False
    root = type(error).__module__.partition(".")[0]
    return isinstance(error, KINDS) or type(error) is Exception or root in LIBRARIES


def reason(error: BaseException) -> str:
    """A library's message on one line. A single word gets the error's type beside it."""
    if isinstance(error, KeyError) and error.args:
        return _short(str(error.args[0]), f"nothing is known by the name {error.args[0]!r}")
    lines = [" ".join(line.split()) for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines()]
    lines = [line for line in lines if line]
    taken = lines[:1]
    for line in lines[1:]:
        if not taken[-1].endswith((":", ",")):
            break
        taken.append(line)
    text = VAGUE.sub("", PREFIX.sub("", " ".join(taken))).strip().rstrip(".:; ")
    return _short(text, f"{type(error).__name__} {text}".strip())


def _short(text: str, otherwise: str) -> str:
    """`text`, cut to a few lines, or `otherwise` where it is no sentence."""
    text = text if text.count(" ") >= 2 else otherwise
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
