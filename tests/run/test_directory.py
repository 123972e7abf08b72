"""A run directory holds one subject and survives what happens to directories."""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from layercliff.errors import LayercliffError, RunError
from layercliff.run.directory import Journal, RunDirectory, key
from layercliff.run.stored_files import Stored
from layercliff.run.subject import Subject, TaskSubject


def subject(**changes: Any) -> Subject:
    task = TaskSubject(name="t", format="cloze", source="s", split="test", digest="abc")
    base = {
        "model": "m",
        "revision": "r",
        "tasks": (task,),
        "shots": 0,
        "limit": None,
        "seed": 0,
        "dtype": "float32",
        "weights_dtype": "float32",
        "normalisation": "char",
        "chat": False,
    }
    return Subject(**{**base, **changes})


def test_a_directory_has_one_subject(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    run.claim(subject())
    run.claim(subject())
    assert run.subject() == subject()
    with Journal(tmp_path / "run" / "trace" / "journal.sqlite") as journal:
        journal.put("a", {"x": np.zeros(1)})
    with pytest.raises(RunError, match="limit is not given there and 5 here; seed is 0 there and 1 here"):
        run.claim(subject(limit=5, seed=1))


def test_a_run_that_came_to_nothing_leaves_its_directory_free(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    with run.lock():
        run.claim(subject())
        with Journal(tmp_path / "run" / "trace" / "journal.sqlite"):
            pass
        run.claim(subject(limit=5))
        assert run.subject() == subject(limit=5)
        run.write_json("trace/summary.json", {})
        with pytest.raises(RunError, match="limit is 5 there and not given here"):
            run.claim(subject())


def test_a_damaged_file_and_a_place_where_nothing_can_be(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    run.write_text("path.json", '{"steps": [')
    with pytest.raises(RunError, match=r"path\.json is damaged .*: remove it and run `layercliff prune` again"):
        run.read_json("path.json", Stored, "layercliff prune")
    below = RunDirectory(tmp_path / "run" / "path.json" / "below")
    with pytest.raises(LayercliffError, match="cannot be written"), below.lock():
        pass


def test_foreign_directories_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(RunError, match="holds files that are not a run"):
        RunDirectory(tmp_path).claim(subject())
    with pytest.raises(RunError, match="is a file"), RunDirectory(tmp_path / "thesis.tex").lock():
        pass
    (tmp_path / "run.yaml").write_text("model: [")
    with pytest.raises(RunError, match="was not written by this version"):
        RunDirectory(tmp_path).claim(subject())
    assert {p.name for p in tmp_path.iterdir()} == {"thesis.tex", "run.yaml"}


def test_one_process_at_a_time(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "from layercliff.run.directory import RunDirectory; from pathlib import Path\nwith "
        f"RunDirectory(Path({str(tmp_path)!r})).lock(): pass"
    )
    with RunDirectory(tmp_path).lock():
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "RunError: Another layercliff process is writing to" in other.stderr
    with RunDirectory(tmp_path).lock():
        pass


def test_home_is_meant_by_its_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    RunDirectory(Path("~/run")).claim(subject())
    assert RunDirectory(tmp_path / "run").subject() == subject()


def test_journal_keeps_what_was_put(tmp_path: Path) -> None:
    arrays = {"scores": np.array([[np.nan, 1.5]], np.float32)}
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.put("k", arrays)
    with Journal(tmp_path / "j.sqlite") as journal:
        np.testing.assert_array_equal(journal.get("k")["scores"], arrays["scores"])  # type: ignore[index]
        assert journal.get("other") is None
        journal.remove()
    assert not list(tmp_path.iterdir())


def test_views_come_back_as_they_are(tmp_path: Path) -> None:
    """safetensors writes the memory that a view lies in, not the view: the journal makes it whole."""
    whole = np.arange(24.0).reshape(2, 3, 4)
    views = {"every other": whole[:, ::2], "turned": whole.T, "backwards": whole[..., ::-1], "one": whole[0, 0, 0]}
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.put("k", views)
        found = journal.get("k")
    assert found is not None
    for name, view in views.items():
        np.testing.assert_array_equal(found[name], view)
        assert found[name].shape == view.shape


@pytest.mark.parametrize("byte", [3, 20, -1])
def test_an_entry_that_changed_counts_as_not_there(tmp_path: Path, byte: int) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.put("k", {"x": np.arange(100.0)})
        (blob,) = journal._connection.execute("SELECT arrays FROM done").fetchone()
        changed = bytearray(blob)
        changed[byte] ^= 16
        with journal._connection:
            journal._connection.execute("UPDATE done SET arrays = ?", (bytes(changed),))
        assert journal.get("k") is None
        journal.put("k", {"x": np.arange(100.0)})
        assert journal.get("k") is not None


def test_a_journal_without_checksums_is_gone_on_with(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "j.sqlite") as old:
        old.execute("CREATE TABLE done (key TEXT PRIMARY KEY, arrays BLOB NOT NULL)")
        old.execute("INSERT INTO done VALUES (?, ?)", ("old", save({"x": np.arange(3.0)})))
    old.close()
    for _ in range(2):
        with Journal(tmp_path / "j.sqlite") as journal:
            assert journal.get("old")["x"].tolist() == [0, 1, 2]  # type: ignore[index]
            journal.put("new", {"x": np.arange(2.0)})
            assert journal.get("new")["x"].tolist() == [0, 1]  # type: ignore[index]


def test_damaged_journal_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "j.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(RunError, match="is damaged"):
        Journal(tmp_path / "j.sqlite")


def test_full_disk_is_no_damage(tmp_path: Path) -> None:
    """SQLite is held to the pages it has: what was put before is there afterwards, and the cure is not to remove it."""
    small, large = {"x": np.arange(3.0)}, {"x": np.zeros(100_000)}
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.put("small", small)
        (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
        journal._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(RunError, match=r"j.sqlite cannot be used \(database or disk is full\): free some space"):
            journal.put("large", large)
        np.testing.assert_array_equal(journal.get("small")["x"], small["x"])  # type: ignore[index]
    with Journal(tmp_path / "j.sqlite") as journal:
        np.testing.assert_array_equal(journal.get("small")["x"], small["x"])  # type: ignore[index]
        assert journal.get("large") is None
    (tmp_path / "k.sqlite").mkdir()
    with pytest.raises(RunError, match=r"k.sqlite cannot be used \(unable to open database file\)"):
        Journal(tmp_path / "k.sqlite")


def test_damage_found_on_reading_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "j.sqlite"
    with Journal(file) as journal:
        journal.put("k", {"x": np.zeros(10_000)})
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with Journal(file) as journal, pytest.raises(RunError, match="is damaged"):
        journal.get("k")


def test_keys_tell_everything_apart() -> None:
    assert len({key(1, "a"), key("1", "a"), key(1, "b"), key(1), key(1, "a", None)}) == 5


def test_full_disk_keeps_what_was_there(
    tmp_path: Path, full_disk: Callable[[str], AbstractContextManager[None]]
) -> None:
    run = RunDirectory(tmp_path)
    run.write_text("a", "old")
    with full_disk("a"):
        run.write_text("a", "new")
    assert (tmp_path / "a").read_text() == "old"
