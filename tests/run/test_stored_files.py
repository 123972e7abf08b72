"""Stored files: written whole, found out when they changed, refused in one sentence when they are not what they should
be."""

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from layercliff.errors import LayercliffError, RunError
from layercliff.run import stored_files
from layercliff.run.stored_files import Stored, StoredFolder, Summary, said


class About(Summary):
    n: int
    more: list[float] | None = None


COLUMNS = {"id": pl.String, "n": pl.Int64}
SHAPES = {"x": "float row column", "y": "int row"}


@pytest.fixture
def folder(tmp_path: Path) -> StoredFolder:
    """A folder of a table, arrays and a summary."""
    found = StoredFolder(tmp_path / "run[1]", "summary.json", "layercliff trace")
    found.write_table("t", pl.DataFrame({"id": ["a", "b"], "n": [1, 2]}))
    found.write_arrays("a", {"x": np.arange(12.0).reshape(4, 3).T[:2], "y": np.arange(2)})
    found.finish({"n": 2})
    return found


def read(folder: Path) -> tuple[About | None, pl.DataFrame, dict[str, np.ndarray]]:
    stored = StoredFolder(folder, "summary.json", "layercliff trace")
    content = stored.content(About)
    return content, stored.table("t", COLUMNS), stored.arrays("a", SHAPES, {"row": 2})


def test_what_is_written_is_read(folder: StoredFolder) -> None:
    """Views are read as they are; a pattern in a directory's name is none."""
    (folder.folder.parent / "run1").mkdir()
    pl.DataFrame({"id": ["other"], "n": [0]}).write_parquet(folder.folder.parent / "run1" / "t.parquet")
    content, table, arrays = read(folder.folder)
    assert content is not None
    assert content.n == 2
    assert table["id"].to_list() == ["a", "b"]
    np.testing.assert_array_equal(arrays["x"], np.arange(12.0).reshape(4, 3).T[:2])
    assert StoredFolder(folder.folder, "none.json", "").content(About) is None


@pytest.mark.parametrize("name", ["t.parquet", "a.safetensors", "summary.json"])
def test_every_changed_byte_is_found(folder: StoredFolder, name: str) -> None:
    """But for the space between words of JSON, and the name of the checksum."""
    file = folder.folder / name
    content, refused = file.read_bytes(), 0
    for at in np.random.default_rng(0).integers(len(content), size=40).tolist():
        changed = bytearray(content)
        changed[at] ^= 1 << at % 8
        file.write_bytes(bytes(changed))
        try:
            found, table, arrays = read(folder.folder)
        except RunError as error:
            refused += 1
            assert re.fullmatch(
                rf".*{name} is damaged \(.+\): remove \S+ and run `layercliff trace` again\.", str(error)
            )
        else:
            assert found is not None
            assert (found.n, table["n"].to_list(), arrays["y"].tolist()) == (2, [1, 2], [0, 1])
    assert refused >= (30 if name == "summary.json" else 40)


@pytest.mark.parametrize("kind", ["table", "arrays", "json", "text"])
def test_a_full_disk_is_one_sentence(small_disk: Path, kind: str) -> None:
    """A real one, whatever is written: nothing of it stays."""
    numbers = np.random.default_rng(0).random(100_000)
    writers: dict[str, Callable[[Path], object]] = {
        "table": lambda file: stored_files.write_table(file, pl.DataFrame({"x": numbers})),
        "arrays": lambda file: stored_files.write_arrays(file, {"x": numbers}),
        "json": lambda file: stored_files.write_json(file, {"x": numbers.tolist()}),
        "text": lambda file: stored_files.write_text(file, "x" * 1_000_000),
    }
    with pytest.raises(LayercliffError, match=r"The disk holding .* is full: free some space and run the same command"):
        writers[kind](small_disk / "run" / "file")
    assert not [file for file in small_disk.rglob("*") if file.is_file()]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "Expecting value"),
        (b"{}", "n: Field required"),
        (b"[1]", "the whole: "),
        (b'{"n": "2"}', "n: Input should be a valid integer"),
        (b'{"n": 2.5}', "n: Input should be a valid integer"),
        (b'{"n": 2, "more": [NaN]}', "NaN is no number of JSON"),
        (b'{"n": 2, "more": [null]}', "more.0: "),
        (b'{"n": ' + b"9" * 5000 + b"}", "Exceeds the limit"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"n": 2, "checksum": "0"}', "which is not that of its content"),
        (b'{"n": 2, "files": 5}', "files: "),
        (b"\xff", "codec can't decode"),
    ],
)
def test_json_of_another_kind_is_refused(folder: StoredFolder, content: bytes, fault: str) -> None:
    folder.summary.write_bytes(content)
    with pytest.raises(
        RunError, match=r"summary.json is damaged .*: remove it and run `layercliff trace` again"
    ) as told:
        read(folder.folder)
    assert fault in str(told.value)


def before_checksums(folder: StoredFolder) -> None:
    """As an older version left it."""
    folder.summary.write_text(json.dumps({"n": 2}))


TABLES: list[tuple[dict[str, Any], str]] = [
    ({"id": ["a", "b"]}, "it has no column n"),
    ({"id": ["a", "b"], "n": ["1", "2"]}, "its column n holds String, not Int64"),
    ({"id": ["a", None], "n": [1, 2]}, "its column id has gaps"),
]


@pytest.mark.parametrize(("columns", "fault"), TABLES)
def test_tables_of_another_kind_are_refused(folder: StoredFolder, columns: dict[str, Any], fault: str) -> None:
    before_checksums(folder)
    pl.DataFrame(columns).write_parquet(folder.folder / "t.parquet")
    with pytest.raises(RunError, match=rf"t.parquet is damaged \({fault}\): remove .*summary.json and run"):
        read(folder.folder)


ARRAYS: list[tuple[dict[str, np.ndarray], str]] = [
    ({"x": np.zeros((2, 3))}, "it has no array y"),
    ({"x": np.zeros((2, 3)), "y": np.zeros(2)}, "its array y holds float64, not int"),
    ({"x": np.zeros((2, 3)), "y": np.zeros((2, 1), int)}, r"its array y has the shape \[2, 1\], not \[row: 2\]"),
    ({"x": np.zeros((3, 3)), "y": np.zeros(3, int)}, r"its array x has the shape \[3, 3\], not \[row: 2, column\]"),
]


@pytest.mark.parametrize(("arrays", "fault"), ARRAYS)
def test_arrays_of_another_kind_are_refused(folder: StoredFolder, arrays: dict[str, np.ndarray], fault: str) -> None:
    before_checksums(folder)
    save_file(arrays, folder.folder / "a.safetensors")
    with pytest.raises(RunError, match=rf"a.safetensors is damaged \({fault}\): remove .*summary.json and run"):
        read(folder.folder)


@pytest.mark.parametrize("name", ["t.parquet", "a.safetensors"])
@pytest.mark.parametrize(
    "damage", [lambda c: b"", lambda c: c[: len(c) // 2], lambda c: c[8:], lambda c: c[::-1], None]
)
def test_damage_of_before_there_were_checksums(
    folder: StoredFolder, name: str, damage: Callable[[bytes], bytes] | None
) -> None:
    before_checksums(folder)
    file = folder.folder / name
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(RunError, match=rf"{name} is damaged \(.+\): remove .*summary.json and run"):
        read(folder.folder)


def test_json_is_strict_and_whole(tmp_path: Path, full_disk: Callable[[str], AbstractContextManager[None]]) -> None:
    file = tmp_path / "a.json"
    stored_files.write_json(file, {"n": (1, 2), "of": {3: None}})
    kept = file.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        stored_files.write_json(file, {"x": float("nan")})
    with full_disk("a.json"):
        stored_files.write_json(file, {"x": 1})
    assert file.read_bytes() == kept
    found = StoredFolder(tmp_path, "a.json", "").content(Stored)
    assert found is not None
    assert found.raw() == {"n": [1, 2], "of": {"3": None}}


def test_a_fault_is_one_short_line() -> None:
    assert said(ValueError("a\n  b" + "c" * 500)) == "a b" + "c" * 154 + "..."
    assert said(RecursionError()) == "RecursionError"
