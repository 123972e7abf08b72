"""The command about benchmarks: eval."""

from pathlib import Path
from typing import Annotated

import typer

from layercliff.choices import Scored
from layercliff.cli.console import progress, show_licence, use_cache
from layercliff.cli.options import (
    BatchOption,
    CacheOption,
    ChatOption,
    DeviceOption,
    DtypeOption,
    ModelOption,
    OutOption,
    ResumeOption,
    SamplerOption,
    SeedOption,
    ShotsOption,
    SkipOption,
    TaskOption,
    TrustOption,
    WeightsOption,
    numbers,
)

app = typer.Typer()


@app.command("eval")
def evaluate(
    model: ModelOption,
    task: TaskOption,
    out: OutOption,
    against: Annotated[
        Path | None, typer.Option(help="Another model's finished evaluation of the same questions: say what differs.")
    ] = None,
    format: Annotated[
        Scored | None, typer.Option("--format", "-f", help="cloze or letter; each task has a default.")
    ] = None,
    shots: ShotsOption = 0,
    sampler: SamplerOption = "per_item",
    limit: Annotated[
        int | None, typer.Option(help="Ask the first so many questions of each task, of each subject for mmlu.")
    ] = None,
    depths: Annotated[
        str | None, typer.Option(help="Depths read beside the last, through the logit lens: all, or e.g. 0,6,12-18.")
    ] = None,
    seed: SeedOption = 0,
    dtype: DtypeOption = "float32",
    weights_dtype: WeightsOption = None,
    device: DeviceOption = "auto",
    chat: ChatOption = False,
    batch_tokens: BatchOption = None,
    resume: ResumeOption = True,
    trust_remote_code: TrustOption = False,
    skip_bad_rows: SkipOption = False,
    cache_dir: CacheOption = None,
) -> None:
    """Accuracy on benchmarks, equal to lm-evaluation-harness item by item, with intervals; against another model, paired."""
    use_cache(cache_dir)
    read = "all" if depths == "all" else numbers(depths, "depths", "depth")
    from layercliff.models.lookup import resolve
    from layercliff.report import terminal

    resolve(model)  # a wrong name is said at once, before the model library is imported
    with progress() as (report, note):
        from layercliff.evaluation.result import open_evaluation
        from layercliff.evaluation.run import evaluate as run

        other = open_evaluation(against) if against else None
        show_licence(model, note)
        evaluated = run(  # type: ignore[misc]
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
            batch_tokens=batch_tokens,
            resume=resume,
            trust_remote_code=trust_remote_code,
            skip_bad_rows=skip_bad_rows,
            against=other,
            depths=read,  # type: ignore[arg-type]
            out=out,
            report=report,
            note=note,
        )
    terminal.show_evaluation(evaluated, out)
    if other is not None:
        terminal.show_against(evaluated, other)
