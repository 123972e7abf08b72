"""What commands do around a verb: progress on the terminal, the cache, licences, quiet libraries."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from layercliff.progress import Report


def use_cache(cache_dir: Path | None) -> None:
    if cache_dir is not None:
        from layercliff.cache import ENVIRONMENT

        os.environ[ENVIRONMENT] = str(cache_dir)


def quiet_libraries() -> None:
    """Keep loading bars and advice of the model library off the terminal. layercliff itself says what goes on."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def show_licence(model: str, note: Callable[[str], None]) -> None:
    """Say a packaged model's licence the first time it is used."""
    from layercliff import cache
    from layercliff.models import packaged
    from layercliff.run import stored_files

    entry = packaged.models().get(model)
    if entry is None:
        return
    shown = cache.directory() / "licences-shown" / entry.name
    if not shown.exists():
        note(f"Licence: {entry.notice}")
        stored_files.write_text(shown, entry.notice)


def _show(bars: "Progress", shown: dict[str, "TaskID"], what: str, done: int, total: int, /) -> None:
    """Move the bar of `what`, a new one where there is none."""
    from layercliff.output import printable

    if what not in shown:
        shown[what] = bars.add_task(printable(what), total=total)
    bars.update(shown[what], completed=done, total=total)


@contextmanager
def progress() -> "Iterator[tuple[Report, Callable[[str], None]]]":
    """A progress bar on standard error, with the time left. Notes are printed above it."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from layercliff.rich_console import PlainConsole

    console = PlainConsole(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=not console.is_terminal) as bars:
        report = partial(_show, bars, {})
        report("starting", 0, 1)
        quiet_libraries()
        report("starting", 1, 1)
        yield report, console.print
