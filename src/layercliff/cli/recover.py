"""The command that trains pruned models."""

from typing import Annotated

import typer

from layercliff.choices import Material, TrainingMethod
from layercliff.cli.analyses import run_analysis
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
    PathOption,
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
def recover(
    model: ModelOption,
    task: TaskOption,
    out: OutOption,
    step: Annotated[
        list[int] | None,
        typer.Option(
            "--step",
            help="A step of the directory's path; several allowed. Default: the recommended one, and those before, at and beyond the cliff.",
        ),
    ] = None,
    score: PathOption = None,
    seeds: Annotated[int, typer.Option(help="Train each model so often, with seeds 0, 1, ...")] = 1,
    method: Annotated[
        TrainingMethod, typer.Option(help="lora: small matrices, merged afterwards; full: every weight.")
    ] = "lora",
    updates: Annotated[int, typer.Option(help="Optimiser updates of each training.")] = 100,
    batch: Annotated[int, typer.Option(help="Questions per update.")] = 16,
    rate: Annotated[
        float | None, typer.Option(help="The highest learning rate. Default: 5e-4 for lora, 5e-5 for full.")
    ] = None,
    rank: Annotated[int, typer.Option(help="Of the LoRA matrices.")] = 16,
    distill: Annotated[
        float, typer.Option(help="The part of the loss that is the divergence from the dense model.")
    ] = 0.0,
    material: Annotated[
        Material | None,
        typer.Option(
            help="What is trained on: questions asked nowhere else (the default where there are 100), or the half the path was chosen on."
        ),
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
    trust_remote_code: TrustOption = False,
    skip_bad_rows: SkipOption = False,
    resume: ResumeOption = True,
    cache_dir: CacheOption = None,
) -> None:
    """Train steps of the directory's path, and the dense model alike, on questions the report half does not hold: does the decision come back?"""
    given = dict(locals())
    run_analysis("recover", given | {"steps": given.pop("step") or ()})
