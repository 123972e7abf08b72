"""Files of results: written whole or not at all, with checksums, and read back for what they should be, or refused in
one sentence."""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np
import polars as pl
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from layercliff import cache
from layercliff.errors import RunError

Shape = TypeVar("Shape", bound=BaseModel)
Kind = TypeVar("Kind")

CHECKSUM = "checksum"
"""The field of a JSON object that holds the checksum of all others. Files of before there were checksums have none."""
FILES = "files"
"""The field of a summary that holds the checksums of the files it speaks of."""

KINDS: Mapping[str, Any] = {"float": np.floating, "int": np.integer, "bool": np.bool_}


class Stored(BaseModel, extra="allow", strict=True):
    """A JSON object as it is stored. Fields that this version does not know are left alone. Those that came later have
    a default."""

    def raw(self) -> dict[str, Any]:
        """As it is stored, with the fields that this version does not know."""
        return self.model_dump(exclude_unset=True)


class Summary(Stored):
    """An object that speaks of other files: their checksums by name. Of before there were checksums it has none."""

    files: dict[str, str] = Field(default_factory=dict)


def write_bytes(file: Path, content: bytes) -> str:
    """Write a file whole or not at all. **Returns** its sha256. Raises `LayercliffError` where the disk is full or
    cannot be written."""
    with cache.whole_file(file) as partial:
        partial.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def write_text(file: Path, text: str) -> str:
    """Write text as UTF-8, as `write_bytes` does."""
    return write_bytes(file, text.encode())


def write_json(file: Path, content: Any) -> str:
    """Write strict JSON, as `write_bytes` does. An object gets the checksum of its content. Numbers that are not finite
    must have been made null."""
    if isinstance(content, Mapping):
        content = {**content, CHECKSUM: _checksum(content)}
    return write_text(file, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_table(file: Path, table: pl.DataFrame) -> str:
    """Write a table as Parquet, as `write_bytes` does."""
    found = io.BytesIO()
    table.write_parquet(found)
    return write_bytes(file, found.getvalue())


def write_arrays(file: Path, arrays: Mapping[str, np.ndarray], about: dict[str, str] | None = None) -> str:
    """Write arrays as safetensors, as `write_bytes` does, with `about` as their metadata. Views are made whole:
    safetensors takes none."""
    from safetensors.numpy import save

    return write_bytes(file, save({name: np.asarray(array, order="C") for name, array in arrays.items()}, about))


class StoredFolder:
    """A folder of results whose files a summary speaks of: it is written last, says that the rest is complete, and
    holds its checksums.

    `again` is the command that makes all of it again, for refusals: every reading raises `RunError` with file, fault
    and cure.
    """

    def __init__(self, folder: Path, summary: str, again: str) -> None:
        self.folder, self.summary, self.again = folder, folder / summary, again
        self._checksums: dict[str, str] = {}

    def write_table(self, name: str, table: pl.DataFrame) -> None:
        """Write ``name.parquet``."""
        self._checksums[f"{name}.parquet"] = write_table(self.folder / f"{name}.parquet", table)

    def write_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write ``name.safetensors``."""
        self._checksums[f"{name}.safetensors"] = write_arrays(self.folder / f"{name}.safetensors", arrays)

    def write_json(self, name: str, content: Any) -> None:
        """Write ``name.json``, whose content decides its bytes."""
        self._checksums[f"{name}.json"] = write_json(self.folder / f"{name}.json", content)

    def finish(self, content: Mapping[str, Any]) -> None:
        """Write the summary."""
        write_json(self.summary, {**content, FILES: self._checksums})

    def content(self, shape: type[Shape]) -> Shape | None:
        """The summary, of this shape; None where there is none."""
        found = self._json(self.summary, shape)
        self._checksums = found.files if isinstance(found, Summary) else {}
        return found

    def beside(self, name: str, shape: type[Shape]) -> Shape | None:
        """The content of ``name.json`` beside the summary. None where it is not there."""
        return self._json(self.folder / f"{name}.json", shape)

    def table(self, name: str, columns: Mapping[str, Any], nullable: tuple[str, ...] = ()) -> pl.DataFrame:
        """``name.parquet``, which has these columns of these types, without nulls but in `nullable` ones."""
        file = self.folder / f"{name}.parquet"
        content = self._bytes(file)
        try:
            found = pl.read_parquet(content)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, OSError) as error:
            self.refuse(file, error)
        for column, kind in columns.items():
            if column not in found.columns:
                self.refuse(file, f"it has no column {column}")
            if not _is(found.schema[column], kind):
                self.refuse(file, f"its column {column} holds {found.schema[column]}, not {kind}")
            if column not in nullable and found[column].null_count():
                self.refuse(file, f"its column {column} has gaps")
        return found

    def arrays(
        self, name: str, shapes: Mapping[str, str], sizes: Mapping[str, int] | None = None
    ) -> dict[str, np.ndarray]:
        """``name.safetensors``, which has these arrays: of each a kind and names of dimensions (``float depth
        question``), which are the same wherever a name stands, and as `sizes` has them."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        file = self.folder / f"{name}.safetensors"
        content = self._bytes(file)
        try:
            found: dict[str, np.ndarray] = load(content)
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            self.refuse(file, error)
        known = dict(sizes or {})
        for array, shape in shapes.items():
            kind, *names = shape.split()
            if array not in found:
                self.refuse(file, f"it has no array {array}")
            one = found[array]
            if not np.issubdtype(one.dtype, KINDS[kind]):
                self.refuse(file, f"its array {array} holds {one.dtype}, not {kind}")
            known |= {n: int(n) for n in names if n.isdigit()}
            pairs = zip(names, one.shape, strict=False)
            if one.ndim != len(names) or any(known.setdefault(n, size) != size for n, size in pairs):
                wanted = ", ".join(f"{n}: {known[n]}" if n in known else n for n in names)
                self.refuse(file, f"its array {array} has the shape {list(one.shape)}, not [{wanted}]")
        return found

    def fits(self, content: Any, shape: type[Shape], name: str) -> Shape:
        """A part of the summary, called `name`, which is of this shape."""
        try:
            return shaped(content, shape)
        except ValueError as error:
            self.refuse(self.summary, f"{name}: {error}")

    def refuse(self, file: Path | str, fault: object) -> NoReturn:
        """Raise `RunError`: a file of this folder is damaged."""
        file = self.folder / file
        cure = "remove it" if file == self.summary else f"remove {self.summary}"
        raise RunError(f"{file} is damaged ({said(fault)}): {cure} and run `{self.again}` again.") from (
            fault if isinstance(fault, BaseException) else None
        )

    def _json(self, file: Path, shape: type[Shape]) -> Shape | None:
        if not file.exists():
            return None
        content = self._bytes(file)
        try:
            return parsed(content, shape)
        except ValueError as error:
            self.refuse(file, error)

    def _bytes(self, file: Path) -> bytes:
        """The content of a file, which is the one that was written."""
        try:
            content = file.read_bytes()
        except OSError as error:
            self.refuse(file, error.strerror or error)
        wanted = self._checksums.get(file.name)
        if wanted not in (None, hashlib.sha256(content).hexdigest()):
            self.refuse(file, "its bytes are not those that were written")
        return content


def parsed(content: bytes, shape: type[Shape]) -> Shape:
    """JSON of a shape, without the checksum of its object. Raises `ValueError`, in a phrase, for anything else, and
    where the checksum is that of another content."""
    try:
        found = json.loads(content.decode(), parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if isinstance(found, dict) and (kept := found.pop(CHECKSUM, None)) not in (None, _checksum(found)):
        raise ValueError(f"its {CHECKSUM} is {kept!r}, which is not that of its content")
    return shaped(found, shape)


def shaped(found: Any, shape: type[Kind]) -> Kind:
    """What JSON holds as a model or a dataclass: strict, but that a list may be a tuple. Raises `ValueError`, in a
    phrase."""
    try:
        return TypeAdapter(shape).validate_json(json.dumps(found), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise ValueError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from error


def said(fault: object) -> str:
    """A fault in a short phrase of one line.

    >>> said(ValueError("broken\\n  at line 3."))
    'broken at line 3'
    """
    text = " ".join(str(fault).split()).rstrip(".") or type(fault).__name__
    return text if len(text) <= 160 else f"{text[:157]}..."


def _checksum(content: Mapping[str, Any]) -> str:
    """The sha256 of an object but for its checksum, however it is spaced."""
    rest = {name: value for name, value in content.items() if name != CHECKSUM}
    return hashlib.sha256(json.dumps(rest, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _is(found: Any, wanted: Any) -> bool:
    """Whether a column has a type, of integers and floats any width."""
    if wanted in (pl.Int64, pl.Float64):
        return bool(found.is_integer() if wanted == pl.Int64 else found.is_float())
    return bool(found == wanted)
