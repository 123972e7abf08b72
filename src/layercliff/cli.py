"""The command line: one thin command per verb."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layercliff.choices import Score
from layercliff.errors import LayercliffError
from layercliff.options import (
    BatchOption,
    CacheOption,
    ChatOption,
    DeviceOption,
    DtypeOption,
    FormatOption,
    LimitOption,
    MassOption,
    ModelOption,
    NormaliseOption,
    OutOption,
    ScoreOption,
    SeedOption,
    ShotsOption,
    SkipOption,
    TaskOption,
    TrustOption,
    WeightsOption,
)

if TYPE_CHECKING:
    from layercliff.progress import Report

INTERRUPTED = 130  # what typer exits with after Ctrl-C

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


def _version(wanted: bool) -> None:
    if wanted:
        from layercliff import __version__

        typer.echo(f"layercliff {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """See where a language model's decision forms, and how many blocks can go before it collapses."""


@app.command()
def trace(
    model: ModelOption,
    task: TaskOption,
    out: OutOption,
    format: FormatOption = None,
    shots: ShotsOption = 0,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    dtype: DtypeOption = "float32",
    weights_dtype: WeightsOption = None,
    device: DeviceOption = "auto",
    normalisation: NormaliseOption = "char",
    chat: ChatOption = False,
    option_mass: MassOption = "last",
    batch_tokens: BatchOption = None,
    trust_remote_code: TrustOption = False,
    skip_bad_rows: SkipOption = False,
    cache_dir: CacheOption = None,
) -> None:
    """Find the depth at which a model's decision forms, with its uncertainty."""
    _use_cache(cache_dir)
    from layercliff.models.sources import resolve
    from layercliff.report import terminal

    resolve(model)  # a wrong name is said at once, before the model library is imported
    with _progress() as (report, note):
        from layercliff.verbs.trace import trace as run

        _show_licence(model, note)
        traced = run(
            model,
            task,
            format=format,
            shots=shots,
            limit=limit,
            seed=seed,
            dtype=dtype,
            weights_dtype=weights_dtype,
            device=device,
            normalisation=normalisation,
            chat=chat,
            option_mass=option_mass,
            batch_tokens=batch_tokens,
            trust_remote_code=trust_remote_code,
            skip_bad_rows=skip_bad_rows,
            out=out,
            report=report,
            note=note,
        )
    terminal.show(traced, out)


@app.command()
def plan(
    model: ModelOption,
    task: TaskOption,
    format: FormatOption = None,
    shots: ShotsOption = 0,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    dtype: DtypeOption = "float32",
    weights_dtype: WeightsOption = None,
    device: DeviceOption = "auto",
    chat: ChatOption = False,
    option_mass: MassOption = "last",
    batch_tokens: BatchOption = None,
    trust_remote_code: TrustOption = False,
    skip_bad_rows: SkipOption = False,
    cache_dir: CacheOption = None,
) -> None:
    """Say what a trace will take before any weight is loaded: questions, tokens, block passes, memory, time."""
    _use_cache(cache_dir)
    from layercliff.models.sources import resolve
    from layercliff.report import terminal

    resolve(model)
    _quiet_libraries()
    from layercliff.verbs.plan import plan as run

    planned = run(
        model,
        task,
        format=format,
        shots=shots,
        limit=limit,
        seed=seed,
        dtype=dtype,
        weights_dtype=weights_dtype,
        device=device,
        chat=chat,
        option_mass=option_mass,
        batch_tokens=batch_tokens,
        trust_remote_code=trust_remote_code,
        skip_bad_rows=skip_bad_rows,
    )
    terminal.show_plan(planned)


@app.command()
def prune(
    model: ModelOption,
    task: TaskOption,
    out: OutOption,
    remove: Annotated[int | None, typer.Option(min=1, help="Remove so many blocks.")] = None,
    to_ratio: Annotated[float | None, typer.Option(help="Remove this share of the blocks, e.g. 0.25.")] = None,
    until_collapse: Annotated[
        bool, typer.Option("--until-collapse", help="Go on until the collapse is sure (the default).")
    ] = False,
    score: ScoreOption = "margin",
    protect: Annotated[str, typer.Option(help="Blocks that stay, e.g. 0,1.")] = "",
    format: FormatOption = None,
    shots: ShotsOption = 0,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    dtype: DtypeOption = "float32",
    weights_dtype: WeightsOption = None,
    device: DeviceOption = "auto",
    normalisation: NormaliseOption = "char",
    chat: ChatOption = False,
    batch_tokens: BatchOption = None,
    reuse_gb: Annotated[float, typer.Option(min=0, help="Memory for what a step may reuse of the one before.")] = 2.0,
    trust_remote_code: TrustOption = False,
    skip_bad_rows: SkipOption = False,
    cache_dir: CacheOption = None,
) -> None:
    """Remove blocks one by one, chosen on one half of the questions and measured on the other, and find the cliff."""
    _use_cache(cache_dir)
    if until_collapse and (remove is not None or to_ratio is not None):
        raise LayercliffError("A path ends at the collapse, after --remove blocks or at --to-ratio: give one of them.")
    protected = _numbers(protect)
    from layercliff.models.sources import resolve
    from layercliff.report import terminal

    resolve(model)
    with _progress() as (report, note):
        from layercliff.verbs.prune import prune as run

        _show_licence(model, note)
        pruned = run(
            model,
            task,
            remove=remove,
            to_ratio=to_ratio,
            score=score,
            protect=protected,
            format=format,
            shots=shots,
            limit=limit,
            seed=seed,
            dtype=dtype,
            weights_dtype=weights_dtype,
            device=device,
            normalisation=normalisation,
            chat=chat,
            batch_tokens=batch_tokens,
            reuse_bytes=int(reuse_gb * 2**30),
            trust_remote_code=trust_remote_code,
            skip_bad_rows=skip_bad_rows,
            out=out,
            report=report,
            note=note,
        )
    terminal.show_path(pruned, out)


@app.command()
def export(
    run: Annotated[Path, typer.Option("--run", help="A run directory that holds a path.")],
    to: Annotated[Path | None, typer.Option("--to", help="The checkpoint to write: a new directory.")] = None,
    step: Annotated[int | None, typer.Option(min=0, help="A step of the path; 0 is the dense model.")] = None,
    recommended: Annotated[bool, typer.Option("--recommended", help="The recommended step (the default).")] = False,
    score: Annotated[Score | None, typer.Option(help="The path, where the directory holds several.")] = None,
    recipe: Annotated[
        bool, typer.Option("--recipe", help="Say how mergekit and llama.cpp make it; loads no weights.")
    ] = False,
    device: DeviceOption = "auto",
    trust_remote_code: TrustOption = False,
    cache_dir: CacheOption = None,
) -> None:
    """Write a step of a path as a checkpoint, proven in a fresh process to reload as what it was, or as recipes for other tools."""
    _use_cache(cache_dir)
    if recommended and step is not None:
        raise LayercliffError("--recommended and --step exclude each other: give one of them.")
    if to is None and not recipe:
        raise LayercliffError("Nothing to export to: give --to for a checkpoint, --recipe for other tools, or both.")
    from layercliff.report import terminal

    if recipe:
        _quiet_libraries()
        from layercliff.verbs.recipe import recipe as say

        typer.echo(say(run, step, score, trust_remote_code=trust_remote_code), nl=False)
    if to is None:
        return
    with _progress() as (report, _):
        from layercliff.verbs.export import export as write

        exported = write(
            run, to, step=step, score=score, recipes=recipe, device=device, trust_remote_code=trust_remote_code, report=report
        )  # fmt: skip
    terminal.show_export(exported)


@app.command()
def models(cache_dir: CacheOption = None) -> None:
    """List the packaged models with size and licence, and whether they are cached."""
    _use_cache(cache_dir)
    from layercliff.models import packaged
    from layercliff.report import terminal

    terminal.table(
        ("name", "blocks", "parameters", "download", "licence", "cached"),
        [
            (
                m.name,
                str(m.config["num_hidden_layers"]),
                f"{m.parameters / 1e6:.0f} M",
                f"{m.download_bytes / 1e6:.0f} MB",
                m.licence,
                "yes" if m.cached else "no",
            )
            for m in packaged.models().values()
        ],
    )


@app.command()
def tasks() -> None:
    """List the tasks with their questions, chance, default format, licence and sources."""
    from layercliff.report import terminal
    from layercliff.tasks.registry import TASKS

    terminal.table(
        ("name", "questions", "chance", "format", "licence", "from"),
        [(name, e.n_questions, e.chance, e.default_format, e.licence, e.sources) for name, e in TASKS.items()],
    )


@app.command()
def figures(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A run directory.")],
    formats: Annotated[str, typer.Option("--format", help="png, svg, pdf; several joined by commas.")] = "png,svg,pdf",
) -> None:
    """Draw a run's figures as PNG, SVG and PDF, and its page anew, without loading the model."""
    from layercliff.verbs.figures import figures as run

    for path in run(directory, tuple(part.strip() for part in formats.split(","))):
        typer.echo(path)


def _numbers(text: str) -> tuple[int, ...]:
    """``0,1`` as numbers."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    wrong = [part for part in parts if not part.isdecimal()]
    if wrong:
        raise LayercliffError(f"{wrong[0]!r} is not a block's number: give numbers from 0, joined by commas.")
    return tuple(map(int, parts))


def _use_cache(cache_dir: Path | None) -> None:
    if cache_dir is not None:
        from layercliff.cache import ENVIRONMENT

        os.environ[ENVIRONMENT] = str(cache_dir)


def _quiet_libraries() -> None:
    """Keep loading bars and advice of the model library off the terminal; layercliff says itself what goes on."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _show_licence(model: str, note: Callable[[str], None]) -> None:
    """Say a packaged model's licence the first time it is used."""
    from layercliff import cache
    from layercliff.models import packaged

    entry = packaged.models().get(model)
    if entry is None:
        return
    shown = cache.directory() / "licences-shown" / entry.name
    if not shown.exists():
        note(f"Licence: {entry.notice}")
        with cache.whole_file(shown) as partial:
            partial.write_text(entry.notice)


@contextmanager
def _progress() -> "Iterator[tuple[Report, Callable[[str], None]]]":
    """A progress bar on standard error, with the time left; notes are printed above it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=not console.is_terminal) as bars:
        shown: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int, /) -> None:
            if what not in shown:
                shown[what] = bars.add_task(what, total=total)
            bars.update(shown[what], completed=done, total=total)

        report("starting", 0, 1)
        _quiet_libraries()
        report("starting", 1, 1)
        yield report, lambda text: console.print(text, markup=False, highlight=False)


def main() -> None:
    """Run the command line; refusals are one sentence on standard error and exit with 2, Ctrl-C exits with 130."""
    gc.set_threshold(
        200_000
    )  # imports and tokenizers make millions of objects that stay: looking through them costs seconds
    try:
        app()
    except LayercliffError as error:
        typer.echo(f"layercliff: {error}", err=True)
        sys.exit(2)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            typer.echo(
                "layercliff: interrupted; what was finished is kept, and the same command goes on from there.", err=True
            )
        raise
