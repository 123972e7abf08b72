"""The commands over many models and tasks: study, and foretell, which uses what a study found."""

from pathlib import Path
from typing import Annotated

import typer

from layercliff import limits
from layercliff.cli.console import progress, quiet_libraries, show_licence, use_cache
from layercliff.cli.options import (
    BatchOption,
    CacheOption,
    ChatOption,
    DeviceOption,
    DtypeOption,
    FormatOption,
    LimitOption,
    MemoryOption,
    ModelOption,
    NormaliseOption,
    OutOption,
    ResumeOption,
    SamplerOption,
    SeedOption,
    ShotsOption,
    SkipOption,
    TaskOption,
    TrustOption,
    WeightsOption,
)
from layercliff.errors import LayercliffError

app = typer.Typer()


@app.command()
def study(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A study file (YAML): models, tasks, formats, schedules, seeds.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The study's directory; default runs/NAME, NAME being the file's.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Count what it will take, run nothing.")] = False,
    cache_dir: CacheOption = None,
) -> None:  # fmt: skip
    """Put many models on many tasks, prune each by several schedules, and set the transition against the collapse."""
    use_cache(cache_dir)
    from layercliff.studies.grid import Grid

    grid = Grid.read(file)  # what is wrong in it is said at once
    from layercliff.studies import terminal as terminal_study

    if plan:
        quiet_libraries()
        from layercliff.studies.plan import plan_study

        with progress() as (report, _):
            planned = plan_study(grid, report=report)
        terminal_study.show_plan(planned)
        if refused := [run for run in planned.runs if run.plan is None]:
            raise LayercliffError(
                f"{len(refused)} of {len(planned.runs)} runs cannot be planned, as listed above: mend {file}."
            )
        return
    directory = out or Path("runs") / file.stem
    with progress() as (report, note):
        from layercliff.studies.run import study as run

        for model in grid.models:
            show_licence(model, note)
        found = run(grid, out=directory, report=report, note=note)
    terminal_study.show(found, directory)
    if found.failed:
        raise LayercliffError(
            f"{len(found.failed)} of {len(found.rows)} cells failed, as listed above: the others are in {directory}, and the same command tries again."
        )


@app.command()
def foretell(
    model: ModelOption,
    task: TaskOption,
    out: OutOption,
    study: Annotated[
        Path | None, typer.Option(help="A study's directory to fit the rule to; default: the rule that ships with layercliff.")
    ] = None,
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
    batch_tokens: BatchOption = None,
    memory_gb: MemoryOption = 4.0,
    trust_remote_code: TrustOption = False,
    skip_bad_rows: SkipOption = False,
    resume: ResumeOption = True,
    cache_dir: CacheOption = None,
) -> None:  # fmt: skip
    """Say where a model will collapse before anything is pruned, from the dense model alone, with an interval."""
    given = {name: value for name, value in locals().items() if name not in ("cache_dir", "memory_gb", "study")}
    use_cache(cache_dir)
    from layercliff.forecasting import result as foretold
    from layercliff.models.lookup import resolve

    resolve(model)
    foretold.training(study)  # whether there is a rule is said before the model library is imported
    with progress() as (report, note):
        from layercliff.forecasting.run import foretell as run

        show_licence(model, note)
        found = run(**given, study=study, memory_bytes=limits.memory_bytes(memory_gb), report=report, note=note)
    from layercliff.studies import terminal as terminal_study

    terminal_study.show_foretelling(found, out)
