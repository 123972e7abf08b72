"""Files and directories appear whole or not at all."""

import errno
import threading
from pathlib import Path

import pytest

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


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LayercliffError, match="is full: free some space"), cache.whole_file(tmp_path / "f"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


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
