"""A checkpoint's files, checked before a library reads them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layercliff.errors import ModelError
from layercliff.models.library_errors import LibraryErrors

LFS = b"version https://git-lfs"
AGAIN = "download it again."
LONGEST_HEADER = 100_000_000  # bytes; what safetensors itself allows
SMALL = (
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
)
LARGE = ("tokenizer.json", "vocab.json", "tokenizer.model", "vocab.txt", "merges.txt")  # read by their library alone


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as its file's header describes it. `dtype` is safetensors' name, such as ``F8_E4M3``."""

    dtype: str
    shape: tuple[int, ...]


def check(directory: Path, name: str) -> dict[str, StoredTensor]:
    """Check the configuration, the weights and the tokenizer of the checkpoint of `name`.

    Returns:
        The tensors that the weight files describe, by name.

    Raises:
        ModelError: Naming the file at fault.
    """
    with LibraryErrors("files", name, AGAIN):
        for known in SMALL:
            if (directory / known).is_file():
                read_json(directory / known)
        for known in LARGE:
            if (directory / known).is_file():
                with (directory / known).open("rb") as file:
                    refuse_pointer(directory / known, file.read(len(LFS)))
        return tensors(directory)


def whole(directory: Path) -> bool:
    """Whether a checkpoint is complete: its files can be read and have the length that they state."""
    try:
        tensors = check(directory, directory.name)
    except ModelError:
        return False
    ends = [_last_byte(file) for file in directory.glob("*.json")]
    return bool(tensors) and (directory / "config.json").is_file() and all(end in b"]}" for end in ends)


def _last_byte(file: Path) -> bytes:
    """The last byte that is no white space. ``0`` where there is none."""
    with file.open("rb") as body:
        body.seek(max(0, file.stat().st_size - 64))
        return body.read().strip()[-1:] or b"0"


def weights(directory: Path) -> list[Path]:
    """The weight files, as transformers takes them: a single one, or those that an index names."""
    whole, index = directory / "model.safetensors", directory / "model.safetensors.index.json"
    if whole.exists():
        return [whole]
    if index.exists():
        return [directory / name for name in _check_index(index)]
    return [file for file in sorted(directory.glob("*.safetensors")) if not file.name.startswith("adapter_")]


def tensors(directory: Path) -> dict[str, StoredTensor]:
    """The tensors that the weight files describe, by their names in the files."""
    found: dict[str, StoredTensor] = {}
    for file in weights(directory):
        found |= {
            name: StoredTensor(str(about["dtype"]), tuple(about["shape"]))
            for name, about in header(file).items()
            if name != "__metadata__"
        }
    return found


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises `ModelError` with line and column where it is none."""
    with LibraryErrors("", str(file), AGAIN):
        raw = file.read_bytes()
    refuse_pointer(file, raw[: len(LFS)])
    try:
        found = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ModelError(f"{file} is not UTF-8 text (byte {error.start}): {AGAIN}") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise ModelError(f"{file} is not JSON ({where}): mend it, or {AGAIN}") from error
    except (RecursionError, ValueError) as error:
        raise ModelError(f"{file} is not JSON that can be read ({error}): {AGAIN}") from error
    if not isinstance(found, dict):
        raise ModelError(f"{file} holds {type(found).__name__} where a JSON object is expected: {AGAIN}")
    return found


def header(file: Path) -> dict[str, Any]:
    """The header of a safetensors file. Raises `ModelError` for a pointer, a cut-off or a damaged file."""
    size = file.stat().st_size
    with file.open("rb") as body:
        begin = body.read(8)
        refuse_pointer(file, begin + body.read(len(LFS)))
        length = int.from_bytes(begin, "little")
        if len(begin) < 8 or not 2 <= length <= min(size - 8, LONGEST_HEADER):
            raise ModelError(f"{file} is no safetensors file, or its beginning is cut off ({size} bytes): {AGAIN}")
        body.seek(8)
        raw = body.read(length)
    try:
        found: dict[str, Any] = json.loads(raw)
        ends = [about["data_offsets"][1] for name, about in found.items() if name != "__metadata__"]
        needed = 8 + length + max(map(int, ends), default=0)
    except (ValueError, AttributeError, LookupError, TypeError, RecursionError) as error:
        raise ModelError(f"The header of {file} is damaged ({type(error).__name__}): {AGAIN}") from error
    if size != needed:
        what = "cut off" if size < needed else "damaged"
        raise ModelError(f"{file} is {what}: it has {size} bytes, and its header describes {needed}: {AGAIN}")
    return found


def refuse_pointer(file: Path, begin: bytes) -> None:
    """Refuse the pointer that git-lfs leaves for a file that was not fetched. Raises `ModelError`."""
    if begin.startswith(LFS):
        raise ModelError(f"{file} is a git-lfs pointer, not the file itself: run `git lfs pull` there, or {AGAIN}")


def _check_index(index: Path) -> list[str]:
    """The weight files that an index names. Raises `ModelError` where one is missing."""
    listed = read_json(index).get("weight_map")
    if not isinstance(listed, dict) or not all(isinstance(name, str) for name in listed.values()):
        raise ModelError(f"{index} names no weight files: {AGAIN}")
    names = sorted(set(listed.values()))
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise ModelError(f"{index} names the file {outside[0]!r}, which is not beside it: {AGAIN}")
    if missing := [name for name in names if not (index.parent / name).is_file()]:
        raise ModelError(
            f"{index.parent} lacks {len(missing)} of {len(names)} weight files ({missing[0]} for one): {AGAIN}"
        )
    return names
