"""The commands about finished runs, studies and what layercliff knows: export, study, figures, criteria, models,
tasks."""

from pathlib import Path
from typing import Annotated, Any

import typer

from layercliff.choices import At
from layercliff.cli.console import progress, quiet_libraries, show_licence, use_cache
from layercliff.cli.from_spec import CacheOption, cache_dir, command, extra
from layercliff.errors import LayercliffError
from layercliff.exporting.spec import ExportSpec
from layercliff.output import say

RECOMMENDED = Annotated[bool, typer.Option("--recommended", help="The recommended step (the default).")]
BEFORE_CLIFF = Annotated[bool, typer.Option("--before-cliff", help="The last step before the cliff.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    help = (
        "Write a step of a path as a checkpoint, proven in a fresh process to reload as what it was, or as recipes for "
        "other tools."
    )
    more = extra("recommended", RECOMMENDED, False), extra("before_cliff", BEFORE_CLIFF, False), cache_dir()
    app.command("export")(command(ExportSpec, export, help, *more))
    for function in (study, criteria, models, tasks, figures):
        app.command()(function)


def export(spec: ExportSpec, given: dict[str, Any]) -> None:
    """The checkpoint, the recipes, or both."""
    use_cache(given["cache_dir"])
    if given["recommended"] + given["before_cliff"] + (spec.step is not None) > 1:
        raise LayercliffError("--recommended, --before-cliff and --step exclude each other: give one of them.")
    wanted: int | At | None = "before-cliff" if given["before_cliff"] else spec.step
    if spec.to is None and not spec.recipes:
        raise LayercliffError("Nothing to export to: give --to for a checkpoint, --recipe for other tools, or both.")
    from layercliff.report import terminal

    if spec.recipes:
        quiet_libraries()
        from layercliff.exporting.recipe import recipe

        found = recipe(spec.run, wanted, spec.criterion, trust_remote_code=spec.trust_remote_code)
        say(str(found).rstrip("\n"))
    if spec.to is None:
        return
    with progress() as (report, note):
        from layercliff.exporting.run import export as write

        exported = write(spec.given(step=wanted, report=report, note=note))
    terminal.show_export(exported)


def study(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A study file (YAML): models, tasks, formats, criteria, seeds.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The study's directory; default runs/NAME, NAME being the file's."),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Count what it will take, run nothing.")] = False,
    cache_dir: CacheOption = None,
) -> None:
    """Put many models on many tasks, prune each by several criteria, and set the transition against the collapse."""
    use_cache(cache_dir)
    from layercliff.studies.grid import Grid

    grid = Grid.read(file)  # what is wrong in it is said at once
    if plan:
        _plan_study(grid, file)
        return
    directory = out or Path("runs") / file.stem
    from layercliff.studies import terminal

    with progress() as (report, note):
        from layercliff.studies.run import study as run

        for model in grid.models:
            show_licence(model, note)
        found = run(grid, out=directory, report=report, note=note)
    terminal.show(found, directory)
    if found.failed:
        raise LayercliffError(
            f"{len(found.failed)} of {len(found.rows)} cells failed, as listed above: the others are in {directory}, "
            "and the same command tries again."
        )


def _plan_study(grid: Any, file: Path) -> None:
    quiet_libraries()
    from layercliff.studies import terminal
    from layercliff.studies.plan import plan_study

    with progress() as (report, _):
        planned = plan_study(grid, report=report)
    terminal.show_plan(planned)
    if refused := [run for run in planned.runs if run.plan is None]:
        raise LayercliffError(
            f"{len(refused)} of {len(planned.runs)} runs cannot be planned, as listed above: mend {file}."
        )


def criteria() -> None:
    """List what a path can be chosen by, with sources."""
    from layercliff.pruning.criterion import registered
    from layercliff.report import terminal

    terminal.table(
        ("name", "kind", "what goes first", "reads", "race", "from"),
        [(name, c.kind, c.about, c.reads, "yes" if c.raced else "", c.citation) for name, c in registered().items()],
    )


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


def figures(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A run directory, or a study's.")],
    formats: Annotated[str, typer.Option("--format", help="png, svg, pdf; several joined by commas.")] = "png,svg,pdf",
) -> None:
    """Draw a run's figures as PNG, SVG and PDF, and its page anew, without loading the model."""
    from layercliff.report.redraw import figures as run

    for path in run(directory, tuple(part.strip() for part in formats.split(","))):
        say(str(path))
