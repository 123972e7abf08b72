"""The command line: one thin command per verb."""

from pathlib import Path
from typing import Annotated

import typer

from layercliff import limits
from layercliff.cli import analyses as cli_analyses
from layercliff.cli import claims as cli_claims
from layercliff.cli import evaluate as cli_evaluate
from layercliff.cli import paths as cli_paths
from layercliff.cli import recover as cli_recover
from layercliff.cli import studies as cli_studies
from layercliff.cli.console import progress, quiet_libraries, show_licence, use_cache
from layercliff.cli.options import (
    BatchOption,
    CacheOption,
    ChatOption,
    ControlsOption,
    DeviceOption,
    DtypeOption,
    FormatOption,
    LimitOption,
    MassOption,
    MemoryOption,
    ModelOption,
    NormaliseOption,
    Once,
    OutOption,
    RatioOption,
    RemoveOption,
    ResumeOption,
    SamplerOption,
    SeedOption,
    ShotsOption,
    SkipOption,
    TaskOption,
    TrustOption,
    WeightsOption,
)
from layercliff.output import say

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


def _version(wanted: bool) -> bool:
    if wanted:
        from layercliff import __version__

        say(f"layercliff {__version__}")
        raise typer.Exit
    return wanted


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
    sampler: SamplerOption = "fixed",
    limit: LimitOption = None,
    seed: SeedOption = 0,
    dtype: DtypeOption = "float32",
    weights_dtype: WeightsOption = None,
    device: DeviceOption = "auto",
    normalisation: NormaliseOption = "char",
    chat: ChatOption = False,
    option_mass: MassOption = "last",
    control: ControlsOption = None,
    batch_tokens: BatchOption = None,
    trust_remote_code: TrustOption = False,
    skip_bad_rows: SkipOption = False,
    resume: ResumeOption = True,
    cache_dir: CacheOption = None,
) -> None:
    """Find the depth at which a model's decision forms, with its uncertainty."""
    given = dict(locals())
    use_cache(cache_dir)
    from layercliff.models.lookup import resolve
    from layercliff.report import terminal

    resolve(model)  # a wrong name is said at once, before the model library is imported
    with progress() as (report, note):
        from layercliff.analyses.trace.run import trace as run

        show_licence(model, note)
        traced = run(
            model,
            task,
            format=format,
            shots=shots,
            sampler=sampler,
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
            resume=resume,
            report=report,
            note=note,
        )
    terminal.show(traced, out)
    if control is not None:
        which = cli_analyses.control_names(given.pop("control"))
        given.pop("option_mass")
        cli_analyses.run_analysis("controls", given | {"which": which})


@app.command()
def plan(
    model: ModelOption,
    task: TaskOption,
    format: FormatOption = None,
    shots: ShotsOption = 0,
    sampler: SamplerOption = "fixed",
    limit: LimitOption = None,
    seed: SeedOption = 0,
    dtype: DtypeOption = "float32",
    weights_dtype: WeightsOption = None,
    device: DeviceOption = "auto",
    chat: ChatOption = False,
    option_mass: MassOption = "last",
    batch_tokens: BatchOption = None,
    remove: RemoveOption = None,
    to_ratio: RatioOption = None,
    memory_gb: MemoryOption = 4.0,
    trust_remote_code: TrustOption = False,
    skip_bad_rows: SkipOption = False,
    cache_dir: CacheOption = None,
) -> None:
    """Say what a trace and a path will take before any weight is loaded: questions, tokens, block passes, memory, time."""
    use_cache(cache_dir)
    from layercliff.models.lookup import resolve
    from layercliff.report import terminal

    resolve(model)
    quiet_libraries()
    from layercliff.planning.run import plan as run

    planned = run(
        model,
        task,
        format=format,
        shots=shots,
        sampler=sampler,
        limit=limit,
        seed=seed,
        dtype=dtype,
        weights_dtype=weights_dtype,
        device=device,
        chat=chat,
        option_mass=option_mass,
        batch_tokens=batch_tokens,
        remove=remove,
        to_ratio=to_ratio,
        memory_bytes=limits.memory_bytes(memory_gb),
        trust_remote_code=trust_remote_code,
        skip_bad_rows=skip_bad_rows,
    )
    terminal.show_plan(planned)


app.registered_commands += cli_evaluate.app.registered_commands + cli_paths.app.registered_commands
app.registered_commands += cli_analyses.app.registered_commands + cli_recover.app.registered_commands
app.registered_commands += cli_claims.app.registered_commands + cli_studies.app.registered_commands


@app.command()
def models(cache_dir: CacheOption = None) -> None:
    """List the packaged models with size and licence, and whether they are cached."""
    use_cache(cache_dir)
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
def tasks(
    subjects: Annotated[bool, typer.Option("--subjects", help="Name the subjects of mmlu instead.")] = False,
) -> None:
    """List the tasks with their questions, options, chance, groups, default format, licence and sources."""
    from layercliff.report import terminal
    from layercliff.tasks.benchmarks import MMLU_SUBJECTS
    from layercliff.tasks.registry import listed

    if subjects:
        say("\n".join(f"mmlu_{name}" for name in MMLU_SUBJECTS))
        return
    terminal.table(
        ("name", "questions", "options", "chance", "groups", "format", "licence", "from"),
        [
            (name, t.questions, t.options, t.chance, t.groups, t.default_format, t.licence, t.sources)
            for name, t in listed().items()
        ],
    )
    say(
        "\ncapitals and cities are embedded; the others come from PyPI (NAME), the hub (NAME=hub) "
        "or local files (NAME=FILE, NAME=DIR)."
        f"\nEach of the {len(MMLU_SUBJECTS)} subjects of mmlu is a task too: `layercliff tasks --subjects` names them."
    )


@app.command()
def figures(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A run directory, or a study's.")],
    formats: Annotated[str, typer.Option("--format", help="png, svg, pdf; several joined by commas.")] = "png,svg,pdf",
) -> None:
    """Draw a run's figures as PNG, SVG and PDF, and its page anew, without loading the model."""
    from layercliff.report.redraw import figures as run

    for path in run(directory, tuple(part.strip() for part in formats.split(","))):
        say(str(path))


for command in app.registered_commands:
    command.cls = Once
