"""The commands about paths of pruned models: prune, compare, criteria, export."""

from pathlib import Path
from typing import Annotated, Any

import typer

from layercliff import limits
from layercliff.choices import At, Score
from layercliff.cli.console import progress, quiet_libraries, show_licence, use_cache
from layercliff.cli.options import (
    BatchOption,
    CacheOption,
    ChatOption,
    DeviceOption,
    DrawsOption,
    DtypeOption,
    FormatOption,
    LimitOption,
    MemoryOption,
    ModelOption,
    NormaliseOption,
    OutOption,
    ProtectOption,
    RaceOption,
    RatioOption,
    RemoveOption,
    ResumeOption,
    SamplerOption,
    ScoreOption,
    SeedOption,
    ShotsOption,
    SkipOption,
    SplitsOption,
    TaskOption,
    TextOption,
    TrustOption,
    WatchOption,
    WeightsOption,
    WithinOption,
    numbers,
)
from layercliff.errors import LayercliffError
from layercliff.output import say

app = typer.Typer()


@app.command()
def prune(
    model: ModelOption,
    task: TaskOption,
    out: OutOption,
    remove: RemoveOption = None,
    to_ratio: RatioOption = None,
    until_collapse: Annotated[
        bool, typer.Option("--until-collapse", help="Go on until the collapse is sure (the default).")
    ] = False,
    score: ScoreOption = "margin",
    protect: ProtectOption = "",
    watch: WatchOption = "",
    splits: SplitsOption = 1,
    race: RaceOption = None,
    text: TextOption = None,
    draws: DrawsOption = 20,
    within: WithinOption = "",
    assess: Annotated[
        bool, typer.Option("--assess/--no-assess", help="Measure size, speed and text of the recommended step.")
    ] = True,
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
) -> None:
    """Remove blocks one by one, chosen on one half of the questions and measured on the other, and find the cliff."""
    given = dict(locals())
    use_cache(cache_dir)
    if until_collapse and (remove is not None or to_ratio is not None):
        raise LayercliffError("A path ends at the collapse, after --remove blocks or at --to-ratio: give one of them.")
    _arguments(given)  # a wrong option is said at once
    from layercliff.models.lookup import resolve
    from layercliff.report import terminal

    resolve(model)
    with progress() as (report, note):
        from layercliff.pruning.run import prune as run

        show_licence(model, note)
        pruned = run(**_arguments(given), report=report, note=note)
    terminal.show_path(pruned, out)


@app.command()
def compare(
    model: ModelOption,
    task: TaskOption,
    out: OutOption,
    criteria: Annotated[str, typer.Option(help="Criteria joined by commas (see `layercliff criteria`).")],
    remove: RemoveOption = None,
    to_ratio: RatioOption = None,
    protect: ProtectOption = "",
    watch: WatchOption = "",
    splits: SplitsOption = 1,
    race: RaceOption = None,
    text: TextOption = None,
    draws: DrawsOption = 20,
    within: WithinOption = "",
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
) -> None:
    """Put several criteria on one figure and in one table: same model, same questions, what choosing cost beside what is left."""
    given = dict(locals())
    use_cache(cache_dir)
    _arguments(given)  # a wrong option is said at once
    from layercliff.models.lookup import resolve
    from layercliff.report import terminal

    resolve(model)
    with progress() as (report, note):
        from layercliff.comparison.run import compare as run

        show_licence(model, note)
        found = run(**_arguments(given), report=report, note=note)
    terminal.show_comparison(found, out)


@app.command()
def criteria() -> None:
    """List what a path can be chosen by, with sources."""
    from layercliff.pruning.criterion import registered
    from layercliff.report import terminal

    terminal.table(
        ("name", "kind", "what goes first", "reads", "race", "from"),
        [(name, c.kind, c.about, c.reads, "yes" if c.raced else "", c.citation) for name, c in registered().items()],
    )


@app.command()
def export(
    run: Annotated[Path, typer.Option("--run", help="A run directory that holds a path.")],
    to: Annotated[Path | None, typer.Option("--to", help="The checkpoint to write: a new directory.")] = None,
    step: Annotated[int | None, typer.Option(help="A step of the path; 0 is the dense model.")] = None,
    recommended: Annotated[bool, typer.Option("--recommended", help="The recommended step (the default).")] = False,
    before_cliff: Annotated[bool, typer.Option("--before-cliff", help="The last step before the cliff.")] = False,
    score: Annotated[Score | None, typer.Option(help="The path, where the directory holds several.")] = None,
    trained: Annotated[
        int | None, typer.Option(help="With the weights that `layercliff recover` trained by this seed.")
    ] = None,
    recipe: Annotated[
        bool, typer.Option("--recipe", help="Say how mergekit and llama.cpp make it; loads no weights.")
    ] = False,
    device: DeviceOption = "auto",
    trust_remote_code: TrustOption = False,
    cache_dir: CacheOption = None,
) -> None:
    """Write a step of a path as a checkpoint, proven in a fresh process to reload as what it was, or as recipes for other tools."""
    use_cache(cache_dir)
    if recommended + before_cliff + (step is not None) > 1:
        raise LayercliffError("--recommended, --before-cliff and --step exclude each other: give one of them.")
    wanted: int | At | None = "before-cliff" if before_cliff else step
    if to is None and not recipe:
        raise LayercliffError("Nothing to export to: give --to for a checkpoint, --recipe for other tools, or both.")
    from layercliff.report import terminal

    if recipe:
        quiet_libraries()
        from layercliff.exporting.recipe import recipe as run_recipe

        say(str(run_recipe(run, wanted, score, trust_remote_code=trust_remote_code)).rstrip("\n"))
    if to is None:
        return
    with progress() as (report, _):
        from layercliff.exporting.run import export as write

        exported = write(
            run, to, step=wanted, criterion=score, trained=trained, recipes=recipe, device=device, trust_remote_code=trust_remote_code, report=report
        )  # fmt: skip
    terminal.show_export(exported)


def _arguments(given: dict[str, Any]) -> dict[str, Any]:
    """What was given on the command line as the verb's arguments. Raises `LayercliffError`."""
    found = {name: value for name, value in given.items() if name not in ("until_collapse", "cache_dir", "memory_gb")}
    if "criteria" in found:
        found["criteria"] = [part.strip() for part in found["criteria"].split(",") if part.strip()]
    return found | {
        "protect": numbers(given["protect"], "protect", "block"),
        "within": numbers(given["within"], "within", "block") or None,
        "memory_bytes": limits.memory_bytes(given["memory_gb"]),
    }
