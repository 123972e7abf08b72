"""The cache directory, and files that are written whole or not at all."""

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from layercliff.errors import LayercliffError, RunError

ENVIRONMENT = "LAYERCLIFF_CACHE"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def directory() -> Path:
    """The cache directory: ``$LAYERCLIFF_CACHE``, else ``$XDG_CACHE_HOME/layercliff``, else ``~/.cache/layercliff``."""
    if own := os.environ.get(ENVIRONMENT):
        return Path(own).expanduser()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "layercliff"
    try:
        return Path.home() / ".cache" / "layercliff"
    except RuntimeError as error:
        raise LayercliffError(
            f"There is no home directory to keep downloads in: say where with --cache-dir or {ENVIRONMENT}."
        ) from error


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full, read-only or missing disk into one sentence.

    safetensors and torch have errors of their own for it, which are recognised.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (ConnectionError, TimeoutError):
        raise  # no disk's
    except OSError as error:
        if error.errno is None:
            raise
        raise _unwritten(path, error.errno) from error
    except (SafetensorError, RuntimeError) as error:
        if (number := _number(str(error))) is None:
            raise
        raise _unwritten(path, number) from error


def _unwritten(path: Path, number: int) -> LayercliffError:
    """The error for a file that cannot be written."""
    if number in FULL:
        return LayercliffError(
            f"The disk holding {path} is full: free some space and run the same command again; what was finished is "
            "kept."
        )
    return LayercliffError(f"{path} cannot be written ({os.strerror(number)}): choose another place.")


def _number(message: str) -> int | None:
    """The error number in a library's message.

    Rust's messages end with it. Torch's speak of a file that could not be finished.
    """
    if "inline_container" in message or "PytorchStreamWriter" in message:
        return errno.ENOSPC
    found = re.search(r"\(os error (\d+)\)", message)
    return int(found[1]) if found else None


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`. It replaces `path` on success and is removed on failure."""
    partial = path.parent / f".{path.name}.{os.getpid()}.partial"
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.touch()
            mode = partial.stat().st_mode  # what the user's umask gives; some libraries write files for the owner alone
            yield partial
            partial.chmod(mode)
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def alone(lock: Path, busy: str) -> Iterator[None]:
    """Hold the lock file `lock`, one process at a time. A killed process releases it.

    Raises `RunError` with the sentence `busy` where another process holds it.
    """
    held = FileLock(lock, timeout=0)
    try:
        with disk_errors(lock.parent):
            lock.parent.mkdir(parents=True, exist_ok=True)
            held.acquire()
    except Timeout as error:
        raise RunError(busy) from error
    try:
        yield
    finally:
        held.release()


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """Yield an empty directory beside `path`. It becomes `path` on success and is removed on failure.

    The caller holds a lock: remains of a killed process are removed first.
    """
    partial = path.parent / f".{path.name}.partial"
    with disk_errors(path):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            _readable(partial)
            partial.replace(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _readable(directory: Path) -> None:
    """Give files the mode of the user's umask. Some libraries write for the owner alone."""
    probe = directory / ".mode"
    probe.touch()
    mode = probe.stat().st_mode
    probe.unlink()
    for file in directory.rglob("*"):
        if file.is_file() and not file.is_symlink():
            file.chmod(mode)


def make_directory(path: Path, build: Callable[[Path], None], whole: Callable[[Path], bool] = Path.exists) -> None:
    """Let `build` fill a temporary directory that becomes `path`, unless `path` is there and `whole`.

    One process at a time builds. Another waits and finds the result.
    """
    if path.exists() and whole(path):
        return
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.parent / f".{path.name}.lock"):
            if path.exists() and whole(path):
                return
            shutil.rmtree(path, ignore_errors=True)
            with whole_directory(path) as partial:
                build(partial)


def require_space(path: Path, needed: int, what: str, option: str = "--cache-dir") -> None:
    """Refuse early what would not fit on the disk. `option` names another place."""
    existing = next(p for p in (path, *path.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        elsewhere = (
            f"move the cache with {option} or {ENVIRONMENT}" if option == "--cache-dir" else f"choose another {option}"
        )
        raise LayercliffError(
            f"{what} needs {needed / 1e9:.1f} GB and the disk holding {existing} has {free / 1e9:.1f} GB free: "
            f"free some space, or {elsewhere}."
        )
