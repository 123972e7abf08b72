"""Run directories of an older version: a finished one is read, a half-finished one goes on where it stopped.

``runs_of_0_1_0.tar.xz`` holds both, of the tiny model and 24 questions, made before files of results had checksums.
"""

import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import word_tasks
import yaml
from polars import selectors
from polars.testing import assert_frame_equal

import layercliff
from layercliff.interventions import gates
from layercliff.models.model import Model
from layercliff.readout.read import Reader
from layercliff.report import page
from layercliff.run.directory import Journal

VERBS: dict[str, Callable[..., Any]] = {
    "trace": layercliff.trace,
    "prune": lambda *a, **o: layercliff.prune(*a, criterion="accuracy", remove=2, splits=2, assess=False, **o),
    "noise": lambda *a, **o: layercliff.noise(*a, eps=(0.1,), draws=1, **o),
    "foretell": layercliff.forecast,
}
"""Functions by the folders of their results."""


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both directories, unpacked."""
    monkeypatch.setattr(page, "write", lambda run: None)
    with tarfile.open(Path(__file__).with_name("runs_of_0_1_0.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def run(verb: str, model: Model, out: Path) -> Any:
    return VERBS[verb](model, word_tasks.task(24, "first_token"), batch_tokens=200, out=out)


@pytest.mark.parametrize("verb", VERBS)
def test_a_finished_run_is_read(verb: str, older: Path, tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reader, "read", lambda *_: pytest.fail("the model was run"))
    monkeypatch.setattr(gates, "gradients", lambda *_: pytest.fail("the model was run"))
    run(verb, tiny, older / "finished")


def test_an_older_directory_keeps_its_normalisation(tiny: Model, tmp_path: Path) -> None:
    """Decisions in it stay by characters, those of a new one are by the sum; both read the same log-likelihoods."""
    task = word_tasks.task(24, "cloze")
    new = layercliff.trace(tiny, task, out=tmp_path / "new")
    subject = yaml.safe_load((tmp_path / "new/run.yaml").read_text())
    assert "normalisation" not in subject
    (tmp_path / "older").mkdir()
    (tmp_path / "older/run.yaml").write_text(yaml.safe_dump(subject | {"normalisation": "char"}))
    for _ in ("made", "read"):
        older = layercliff.trace(tiny, task, out=tmp_path / "older")
        np.testing.assert_array_equal(older.trace.scores, new.by("char").trace.scores)
        assert "by char" in older.caption(older.main.name)
        assert not older.main.accuracy_by
    assert "by " not in new.caption(new.main.name)


@pytest.mark.parametrize("verb", VERBS)
def test_a_half_finished_run_goes_on(
    verb: str, older: Path, tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every entry of its journal is used, and the tables are those of the run that was not interrupted, but for ends of
    intervals, which that version took in another way."""
    with closing(sqlite3.connect(older / "half" / verb / "journal.sqlite")) as journal:
        kept = {key for (key,) in journal.execute("SELECT key FROM done")}
    used: list[str] = []
    get = Journal.get

    def counted(self: Journal, key: str) -> Any:
        found = get(self, key)
        used.extend([key] if found is not None else [])
        return found

    monkeypatch.setattr(Journal, "get", counted)
    run(verb, tiny, older / "half")
    assert kept
    assert kept <= set(used)
    tables = sorted((older / "finished" / verb).rglob("*.parquet"))
    assert tables
    for table in tables:
        again = pl.read_parquet(older / "half" / table.relative_to(older / "finished"))
        before = pl.read_parquet(table).drop(selectors.matches("(^|_)(low|high|upper)$"))
        assert_frame_equal(again.select(before.columns), before, check_exact=True)
