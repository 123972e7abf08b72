"""The command that judges the paper's claims."""

from typing import Annotated

import typer

from layercliff.cli.console import progress, show_licence, use_cache
from layercliff.cli.options import (
    BatchOption,
    CacheOption,
    ChatOption,
    DeviceOption,
    DtypeOption,
    FormatOption,
    LimitOption,
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

app = typer.Typer()


@app.command()
def claims(
    model: ModelOption,
    task: TaskOption,
    out: OutOption,
    recover: Annotated[
        bool,
        typer.Option(
            "--recover", help="Train the dense model and steps around the collapse, for C7; needs the extra recover."
        ),
    ] = False,
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
    trust_remote_code: TrustOption = False,
    skip_bad_rows: SkipOption = False,
    resume: ResumeOption = True,
    cache_dir: CacheOption = None,
) -> None:
    """Judge the paper's claims C1-C10: measurement, control, rule and verdict of each; what DIR lacks for it is run first."""
    given = dict(locals())
    use_cache(given.pop("cache_dir"))
    from layercliff.models.lookup import resolve
    from layercliff.report import terminal

    resolve(model)  # a wrong name is said at once, before the model library is imported
    with progress() as (report, note):
        from layercliff.paper_claims.run import claims as run

        show_licence(model, note)
        found = run(**given, report=report, note=note)
    terminal.show_claims(found, out)
