"""Damage to stored files, by a seed: bytes that changed, were lost or are another file's, and contents that make no
sense in a file that is whole."""

import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors.numpy import load, save

WRONG: tuple[Any, ...] = (None, "x", "", -1, 0, 3, 10**9, 1.5, True, [], {}, [1, 1], [-1], {"x": 1}, "joint")
"""What stands where something else should."""


def bytes_of(content: bytes, rng: random.Random) -> bytes:
    """Cut off, empty, flipped, overwritten, doubled, or of another kind."""
    at = rng.randrange(len(content) or 1)
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: b"",
        lambda: content[:at],
        lambda: content[at:],
        lambda: content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :],
        lambda: content[:at] + rng.randbytes(16) + content[at + 16 :],
        lambda: content + content,
        lambda: bytes(len(content)),
        lambda: b"null",
        lambda: b'{"x": NaN}',
        lambda: b"\xff\xfe" + content,
    )
    return rng.choice(kinds)()


def json_of(content: bytes, rng: random.Random) -> bytes:
    """A field less, or a wrong value somewhere, in a file that carries no checksum."""
    found = _unchecked(json.loads(content))
    places = list(_places(found))
    if not places or rng.random() < 0.05:
        return json.dumps(rng.choice(WRONG)).encode()
    where, name = rng.choice(places)
    if rng.random() < 0.3:
        del where[name]
    else:
        where[name] = rng.choice(WRONG)
    return json.dumps(found).encode()


def table_of(content: bytes, rng: random.Random) -> bytes:
    """A column less, gaps in one, one of another type, or rows missing."""
    found = pl.read_parquet(content)
    column = rng.choice(found.columns or ["x"])
    kinds: tuple[Callable[[], pl.DataFrame], ...] = (
        lambda: found.drop(column, strict=False),
        lambda: found.with_columns(pl.lit(None).alias(column)),
        lambda: found.with_columns(pl.lit("x").alias(column)),
        lambda: found.with_columns(pl.lit(-7).alias(column)),
        lambda: found.head(len(found) // 2),
        found.clear,
        lambda: pl.concat([found, found]),
        found.reverse,
    )
    buffer = io.BytesIO()
    rng.choice(kinds)().write_parquet(buffer)
    return buffer.getvalue()


def arrays_of(content: bytes, rng: random.Random) -> bytes:
    """An array less, turned, cut, of another type, or without numbers."""
    found = dict(load(content))
    name = rng.choice(list(found))
    array = found.pop(name)
    kinds: tuple[Callable[[], np.ndarray | None], ...] = (
        lambda: None,
        lambda: array.T,
        lambda: array[:1],
        lambda: array.astype(np.float16),
        lambda: array.astype(np.int64),
        lambda: np.full(array.shape, np.nan),
        lambda: np.full(array.shape, 99),
        lambda: np.zeros(0),
    )
    if (other := rng.choice(kinds)()) is not None:
        found[name] = other
    return save({key: np.asarray(value, order="C") for key, value in found.items()})


INSIDE: dict[str, Callable[[bytes, random.Random], bytes]] = {
    ".json": json_of, ".parquet": table_of, ".safetensors": arrays_of,
}  # fmt: skip


def damage(file: Path, rng: random.Random) -> str:
    """Damage a file, or remove it. **Returns** what was done, in a word."""
    content = file.read_bytes()
    kind = rng.choice(("bytes", "inside", "inside", "gone")) if file.suffix in INSIDE else "bytes"
    if kind == "gone":
        file.unlink()
    else:
        file.write_bytes((INSIDE[file.suffix] if kind == "inside" else bytes_of)(content, rng))
    return kind


def as_before_checksums(folder: Path) -> None:
    """Take the checksums out of all summaries, as older versions left them."""
    for file in folder.rglob("*.json"):
        file.write_text(json.dumps(_unchecked(json.loads(file.read_text()))))


def stored(folder: Path) -> list[Path]:
    """Every file of results, in order."""
    kinds = {*INSIDE, ".yaml"}
    return sorted(file for file in folder.rglob("*") if file.suffix in kinds and not file.name.startswith("."))


def _unchecked(content: Any) -> Any:
    return (
        {k: v for k, v in content.items() if k not in ("checksum", "files")} if isinstance(content, dict) else content
    )


def _places(content: Any) -> Any:
    """Every field and entry: what holds it, and its name or number there; long lists by their ends."""
    if isinstance(content, dict):
        names: list[Any] = list(content)
    elif isinstance(content, list):
        names = [0, len(content) - 1][: len(content)]
    else:
        return
    for name in names:
        yield content, name
        yield from _places(content[name])
