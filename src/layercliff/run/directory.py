"""The run directory: one subject, a folder per verb, and a journal that makes finished work survive a crash."""

import hashlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from layercliff import cache
from layercliff.errors import RunError
from layercliff.run import stored_files
from layercliff.run.stored_files import Shape, StoredFolder
from layercliff.run.subject import Subject

SUBJECT = "run.yaml"
JOURNAL = "journal.sqlite"


class RunDirectory:
    """A directory that holds the results of one subject, as ``run.yaml`` in it says."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser()

    def subject(self) -> Subject | None:
        """The subject kept here, if any. Raises `RunError` for a ``run.yaml`` that is not one."""
        file = self.path / SUBJECT
        if not file.exists():
            return None
        try:
            return Subject.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
        except (
            ValueError,
            yaml.YAMLError,
            RecursionError,
        ) as error:  # what pydantic and decoders raise are ValueErrors
            raise RunError(
                f"{file} was not written by this version of layercliff: choose another --out, or remove the directory."
            ) from error
        except OSError as error:
            raise RunError(
                f"{file} cannot be read ({error.strerror}): choose another --out, or see to its rights."
            ) from error

    def claim(self, subject: Subject) -> None:
        """Make the directory this subject's, or check that it is. One in which another subject's run came to nothing is
        taken over.

        Raises `RunError` when it holds another subject, or files that no run wrote.
        """
        kept = self.subject()
        if kept is None and self.path.exists() and any(not p.name.startswith(".") for p in self.path.iterdir()):
            raise RunError(f"{self.path} holds files that are not a run of layercliff's: choose an empty or new --out.")
        if kept is None or (subject.differences(kept) and self._holds_nothing()):
            self.write_text(
                SUBJECT, yaml.safe_dump(subject.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
            )
        elif differences := subject.differences(kept):
            raise RunError(
                f"{self.path} holds another run: {'; '.join(differences)}. Repeat what was given there, or choose "
                "another --out."
            )

    def _holds_nothing(self) -> bool:
        """Whether nothing was finished here, no part of anything either."""
        files = [file for file in self.path.rglob("*") if file.is_file() and not file.name.startswith(".")]
        return all(file.name == SUBJECT or (file.name == JOURNAL and Journal.is_empty(file)) for file in files)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from writing here meanwhile. Raises `RunError` when one already does."""
        if self.path.is_file():
            raise RunError(f"{self.path} is a file: --out takes a directory.")
        busy = f"Another layercliff process is writing to {self.path}: wait for it, or choose another --out."
        with cache.alone(self.path / ".lock", busy):
            yield

    def forget(self, name: str) -> None:
        """Remove a file or folder here, if it is there."""
        target = self.path / name
        with cache.disk_errors(target):
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)

    def write_text(self, name: str, text: str) -> None:
        """Write a file whole or not at all."""
        stored_files.write_text(self.path / name, text)

    def write_json(self, name: str, content: Any) -> None:
        """Write strict JSON with its checksum, whole or not at all: numbers that are not finite must have been made
        null."""
        stored_files.write_json(self.path / name, content)

    def read_json(self, name: str, shape: type[Shape], again: str) -> Shape | None:
        """The content of a JSON file here, of a shape, or None where it is not there. Raises `RunError`, which says to
        run `again`, for any other content."""
        return self.folder("", name, again).content(shape)

    def folder(self, name: str, summary: str, again: str) -> StoredFolder:
        """The results in a folder here, of which a summary speaks."""
        return StoredFolder(self.path / name, summary, again)

    def settle(self, folder: str) -> None:
        """Remove the journal of a folder whose results are there: a process that was killed between the two left it."""
        for name in (JOURNAL, f"{JOURNAL}-journal"):
            self.forget(f"{folder}/{name}")


class Journal:
    """Finished pieces of work in SQLite, keyed by what determines them. Each `put` is on disk when it returns.

    An entry carries a checksum of its arrays (`checksum`). One that does not come back as it was put counts as not
    there, and its work is done again. Entries of before there were checksums carry none, and are taken as they are.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        with cache.disk_errors(file):
            file.parent.mkdir(parents=True, exist_ok=True)
        with self._errors():
            self._connection = sqlite3.connect(file)
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("CREATE TABLE IF NOT EXISTS done (key TEXT PRIMARY KEY, arrays BLOB NOT NULL)")
            if not any(column[1] == "checksum" for column in self._connection.execute("PRAGMA table_info(done)")):
                self._connection.execute("ALTER TABLE done ADD COLUMN checksum TEXT")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Tell a disk that is full or cannot be written, where everything finished is kept, from a damaged file, which
        has to go."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise RunError(
                f"The journal {self._file} cannot be used ({error}): free some space or see that the place can be "
                "written, and run the same command again; what was finished is kept."
            ) from error
        except sqlite3.DatabaseError as error:
            raise RunError(f"The journal {self._file} is damaged ({error}): remove it and run again.") from error

    @staticmethod
    def is_empty(file: Path) -> bool:
        """Whether nothing was kept in a journal yet."""
        with Journal(file) as journal, journal._errors():
            return journal._connection.execute("SELECT 1 FROM done LIMIT 1").fetchone() is None

    def get(self, key: str) -> dict[str, np.ndarray] | None:
        """The arrays kept under `key`, if any, as they were put. Raises `RunError` for a journal that is damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        with self._errors():
            found = self._connection.execute("SELECT arrays, checksum FROM done WHERE key = ?", (key,)).fetchone()
        if not found or not isinstance(found[0], bytes):
            return None
        try:
            arrays: dict[str, np.ndarray] = load(found[0])
        except SafetensorError:
            return None
        return arrays if found[1] in (None, checksum(arrays)) else None

    def put(self, key: str, arrays: dict[str, np.ndarray]) -> None:
        """Keep `arrays` under `key`. Raises `RunError` on a full disk. What was put before is kept."""
        from safetensors.numpy import save

        whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}  # safetensors takes no views
        with self._errors(), self._connection:
            self._connection.execute(
                "INSERT OR REPLACE INTO done (key, arrays, checksum) VALUES (?, ?, ?)",
                (key, save(whole), checksum(whole)),
            )

    def remove(self) -> None:
        """Forget everything: the result it led to has been written."""
        self.close()
        self._file.unlink(missing_ok=True)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def journalled(journal: Journal | None, name: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What a journal keeps under `name`, or what `make` gives, which is kept there from now on."""
    kept = journal.get(name) if journal else None
    if kept is None:
        kept = make()
        if journal:
            journal.put(name, kept)
    return kept


def checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """The sha256 of arrays: of each the name, the type, the shape and the values."""
    found = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype.str} {array.shape}\0".encode())
        found.update(np.asarray(array, order="C").data)
    return found.hexdigest()


def key(*parts: object) -> str:
    """A journal key from everything that determines a piece of work."""
    return hashlib.sha256("\0".join(map(repr, parts)).encode()).hexdigest()
