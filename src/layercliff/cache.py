"""Where downloads and converted models are kept, and how files come to be there whole or not at all."""

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
    """Turn a full or read-only disk, or a place where nothing can be, into one sentence, whichever library meets it:
    safetensors and torch have errors of their own for it."""
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
    """What is said of a file that cannot be written, by the number of the error."""
    if number in FULL:
        return LayercliffError(
            f"The disk holding {path} is full: free some space and run the same command again; what was finished is "
            "kept."
        )
    return LayercliffError(f"{path} cannot be written ({os.strerror(number)}): choose another place.")


def _number(message: str) -> int | None:
    """The number of a disk's error in the message of a library: Rust's end with it, torch's are of a file that could
    not be written to its end."""
    if "inline_container" in message or "PytorchStreamWriter" in message:
        return errno.ENOSPC
    found = re.search(r"\(os error (\d+)\)", message)
    return int(found[1]) if found else None


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it replaces `path` on success and disappears on failure."""
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
    """Hold the file `lock`, made if it is not there, as one process at a time can; a killed one lets go of it. Raises
    `RunError` with the sentence `busy` when another process holds it."""
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
    """Yield an empty directory beside `path`; it becomes `path` on success and disappears on failure. Whoever calls
    this holds a lock: remains of a killed process are swept away first."""
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
    """Give files the mode that the user's umask gives; some libraries write files for the owner alone."""
    probe = directory / ".mode"
    probe.touch()
    mode = probe.stat().st_mode
    probe.unlink()
    for file in directory.rglob("*"):
        if file.is_file() and not file.is_symlink():
            file.chmod(mode)


def make_directory(path: Path, build: Callable[[Path], None], whole: Callable[[Path], bool] = Path.exists) -> None:
    """Have `build` fill a temporary directory that becomes `path` when it is complete; nothing happens if `path` is
    there.

    A directory that was damaged since, of which `whole` says so, is built again. One process at a time builds; another
    one waits and then finds the result.
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
    """Refuse early, in one sentence, what would not fit on the disk; `option` is the one that names another place."""
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
