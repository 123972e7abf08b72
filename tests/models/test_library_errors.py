"""What libraries raise becomes one sentence, and what is no library's passes."""

import struct

import pytest
from huggingface_hub.errors import StrictDataclassFieldValidationError
from safetensors import SafetensorError

from layercliff.errors import LayercliffError, ModelError
from layercliff.models.library_errors import LONGEST, LibraryErrors, reason


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("nosuch"), "nothing is known by the name 'nosuch'"),
        (KeyError("model type nosuch is unknown"), "model type nosuch is unknown"),
        (ValueError("su"), "ValueError su"),
        (ValueError(), "ValueError"),
        (RuntimeError("The first line here\nand more"), "The first line here"),
        (RuntimeError("Of these:\n  one two three\nmore"), "Of these: one two three"),
        (RuntimeError("Some weights differ. For details look at the above report!"), "Some weights differ"),
        (ValueError("\x1b[1mbold words here\x1b[0m"), "bold words here"),
        (StrictDataclassFieldValidationError("a", TypeError("expected int, got str")), "expected int, got str"),
        (ValueError("long " * 1000), "long " * (LONGEST // 5) + "..."),
    ],
)
def test_a_librarys_words_on_one_line(error: Exception, words: str) -> None:
    assert reason(error) == words


@pytest.mark.parametrize(
    "error", [OSError("x"), struct.error("x"), SafetensorError("x"), Exception("x"), ZeroDivisionError(), KeyError("x")]
)
def test_what_a_library_raises_is_a_refusal(error: Exception) -> None:
    with (
        pytest.raises(ModelError, match=r"^The part of name cannot be read \(.+\): cure\.$") as told,
        LibraryErrors("part", "name", "cure."),
    ):
        raise error
    assert told.value.__cause__ is error


def test_what_is_no_librarys_passes() -> None:
    class Own(Exception):
        pass

    for error in (Own(), KeyboardInterrupt(), LayercliffError("a refusal")):
        with pytest.raises(type(error)) as told, LibraryErrors("part", "name", "cure."):
            raise error
        assert told.value is error


def test_code_that_is_not_trusted_is_said() -> None:
    with (
        pytest.raises(ModelError, match="own code, which is not run unless you trust it"),
        LibraryErrors("part", "name", "cure."),
    ):
        raise ValueError("set trust_remote_code=True")
