"""The command line: one thin command per verb."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layercliff.choices import DType, Format, Normalisation, OptionMass
from layercliff.errors import LayercliffError

if TYPE_CHECKING:
    from layercliff.progress import Report

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")

ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="A packaged short name (see `layercliff models`), a directory, a .gguf file, or a hub id owner/name.",
    ),
]
TaskOption = Annotated[
    str,
    typer.Option(
        "--task",
        "-t",
        help="A task (see `layercliff tasks`), NAME=FILE, a .jsonl or .csv file of questions; several joined by commas.",
    ),
]
FormatOption = Annotated[
    Format | None, typer.Option("--format", "-f", help="letter, cloze or first_token; each task has a default.")
]
ShotsOption = Annotated[int, typer.Option(min=0, help="Worked examples before each question.")]
LimitOption = Annotated[
    int | None, typer.Option(help="Ask at most so many questions of each task, after a shuffle by the seed.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Decides shuffles, distractors, halves and resamples.")]
DtypeOption = Annotated[DType, typer.Option(help="What blocks compute in.")]
WeightsOption = Annotated[DType | None, typer.Option(help="What weights are stored in, if narrower than --dtype.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
NormaliseOption = Annotated[Normalisation, typer.Option("--normalisation", help="What cloze scores are divided by.")]
ChatOption = Annotated[bool, typer.Option("--chat", help="Ask through the model's chat template.")]
MassOption = Annotated[
    OptionMass, typer.Option(help="Depths at which the options' share of the whole vocabulary is computed.")
]
BatchOption = Annotated[int | None, typer.Option(min=1, help="Tokens that pass through the model together.")]
TrustOption = Annotated[bool, typer.Option("--trust-remote-code", help="Run code that comes with the model.")]
SkipOption = Annotated[
    bool,
    typer.Option(
        "--skip-bad-rows", help="Leave out rows that cannot be read, counted and listed, instead of stopping."
    ),
]
CacheOption = Annotated[
    Path | None, typer.Option(help="Where downloads and converted models are kept.", envvar="LAYERCLIFF_CACHE")
]


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
    out: Annotated[Path, typer.Option("--out", "-o", help="The run directory; made if it is not there.")],
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
    )  # imports and tokenizers make millions of objects that stay: looking for garbage among them costs seconds
    try:
        app()
    except LayercliffError as error:
        typer.echo(f"layercliff: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo(
            "layercliff: interrupted; what was finished is kept, and the same command goes on from there.", err=True
        )
        sys.exit(130)
