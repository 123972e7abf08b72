"""What nobody foresaw: one sentence, a file, exit code 70; and what has a sentence of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from commands import Here

from layercliff import cache, errors, faults
from layercliff.cli import app as cli_app


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch, here: Here) -> object:
    """The command line, whose command raises something."""

    def run(error: BaseException) -> subprocess.CompletedProcess[str]:
        def fail(_: object) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(type(cli_app.app), "__call__", fail)
            return here("models")

    return run


def test_what_nobody_foresaw_is_one_sentence_and_a_file(ends) -> None:  # type: ignore[no-untyped-def]
    before = len(faults.met)
    done = ends(KeyError("odd\x1b"))
    assert done.returncode == 70
    assert done.stdout == ""
    assert done.stderr.startswith(
        "layercliff: This is a fault of layercliff (KeyError: 'odd\\x1b'): please report it with its"
    )
    assert "what was finished is kept" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert len(faults.met) == before + 1
    (file,) = (cache.directory() / faults.FOLDER).iterdir()
    assert str(file) in done.stderr
    assert "KeyError: 'odd\\x1b'" in file.read_text()
    assert "in fail" in file.read_text()
    assert "layercliff models" in file.read_text()


def test_a_traceback_that_cannot_be_kept_is_said_to_be_lost(
    ends,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,  # type: ignore[no-untyped-def]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    done = ends(ZeroDivisionError())
    assert done.returncode == 70
    assert "its traceback, which could not be written (" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_want_of_memory_is_no_fault(ends) -> None:  # type: ignore[no-untyped-def]
    before = len(faults.met)
    kinds = [
        MemoryError("Unable to allocate 9. TiB"),
        torch.OutOfMemoryError("CUDA out of memory"),
        OSError(12, "Cannot allocate memory"),
    ]
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60)
    for error in (*kinds, raised.value):
        done = ends(error)
        assert done.returncode == 2
        assert done.stderr.startswith("layercliff: There is not enough memory (")
    assert len(faults.met) == before


def test_a_part_that_fails_is_a_refusal_of_its_own() -> None:
    with pytest.raises(errors.Fault, match="fault of layercliff"), faults.contained():
        raise IndexError(3)
    with pytest.raises(errors.TaskError, match="as it was"), faults.contained():
        raise errors.TaskError("as it was")
    with pytest.raises(KeyboardInterrupt), faults.contained():
        raise KeyboardInterrupt


def test_a_real_process_ends_without_a_traceback(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom layercliff.cli import app, entry\napp.say = None\nsys.argv = ['layercliff', "
        "'--version']\nentry.main()"
    )
    around = os.environ | {cache.ENVIRONMENT: str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=around)
    assert done.returncode == 70
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_no_home_is_said(monkeypatch: pytest.MonkeyPatch, here: Here) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv(cache.ENVIRONMENT)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    done = here("models")
    assert done.returncode == 2
    assert "There is no home directory to keep downloads in: say where with --cache-dir" in done.stderr
