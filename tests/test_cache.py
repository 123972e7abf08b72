"""Files and directories appear whole or not at all."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from layercliff import cache
from layercliff.errors import LayercliffError


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAYERCLIFF_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache.directory() == Path("/x/layercliff")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.directory() == Path.home() / ".cache" / "layercliff"
    monkeypatch.setenv("LAYERCLIFF_CACHE", "/own")
    assert cache.directory() == Path("/own")


def test_an_interrupted_file_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), cache.whole_file(path) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


BIG = np.random.default_rng(0).random(100_000)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(BIG.tobytes()),
        lambda path: safetensors.numpy.save_file({"x": BIG}, path),
        lambda path: safetensors.torch.save_file({"x": torch.from_numpy(BIG)}, path),
        lambda path: torch.save(torch.from_numpy(BIG), path),
    ],
    ids=["bytes", "safetensors", "safetensors-torch", "torch"],
)
@pytest.mark.parametrize("whole", [cache.whole_file, cache.whole_directory])
def test_a_full_disk_is_one_sentence(
    small_disk: Path, write: Callable[[Path], None], whole: Callable[..., Any]
) -> None:
    """Whichever library meets it, in a file and in a directory; nothing stays behind."""
    with (
        pytest.raises(LayercliffError, match=r"The disk holding .* is full: free some space"),
        whole(small_disk / "f") as partial,
    ):
        write(partial / "model" if whole is cache.whole_directory else partial)
    assert not [file for file in small_disk.rglob("*") if file.is_file()]


def test_a_name_that_is_too_long_is_one_sentence(tmp_path: Path) -> None:
    said = r"cannot be written \(File name too long\): choose another place"
    with pytest.raises(LayercliffError, match=said), cache.whole_file(tmp_path / ("x" * 300)):
        pass


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    for error in (RuntimeError("matrices do not match"), ConnectionResetError(104, "reset"), OSError("of a library")):
        with pytest.raises(type(error)), cache.whole_file(tmp_path / "f"):
            raise error


def test_an_interrupted_directory_leaves_nothing(tmp_path: Path) -> None:
    def build(partial: Path) -> None:
        (partial / "a").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.make_directory(tmp_path / "d", build)
    assert not (tmp_path / "d").exists()
    assert not list(tmp_path.glob("*.partial"))


def test_remains_of_a_killed_process_are_swept_away(tmp_path: Path) -> None:
    (tmp_path / ".d.partial").mkdir()
    (tmp_path / ".d.partial" / "old").write_text("")
    cache.make_directory(tmp_path / "d", lambda partial: (partial / "new").write_text("") and None)
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["new"]


def test_two_at_once_build_once(tmp_path: Path) -> None:
    built: list[int] = []

    def build(partial: Path) -> None:
        built.append(1)
        (partial / "a").write_text("")

    threads = [threading.Thread(target=cache.make_directory, args=(tmp_path / "d", build)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [1]
