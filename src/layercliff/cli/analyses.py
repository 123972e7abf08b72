"""The commands that disturb a model or look into it: controls, lens, noise, ablate, similarity, patch."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layercliff import limits
from layercliff.cli.console import progress, show_licence, use_cache
from layercliff.cli.options import (
    BatchOption,
    CacheOption,
    ChatOption,
    ControlsOption,
    DeviceOption,
    DtypeOption,
    FormatOption,
    LimitOption,
    ModelOption,
    NormaliseOption,
    OutOption,
    PathOption,
    PositionsOption,
    ResumeOption,
    SamplerOption,
    SeedOption,
    ShotsOption,
    SkipOption,
    StepsOption,
    TaskOption,
    TrustOption,
    WeightsOption,
)
from layercliff.errors import LayercliffError, quoted
from layercliff.output import say

if TYPE_CHECKING:
    from layercliff.run.directory import RunDirectory

app = typer.Typer()


@app.command()
def controls(
    model: ModelOption,
    task: TaskOption,
    out: OutOption,
    control: ControlsOption = None,
    draws: Annotated[int, typer.Option(help="How often weights and orders of options are drawn.")] = 1,
    text: Annotated[
        str | None, typer.Option(help="Plain text: FILE.txt, .jsonl or .parquet. Default: a few paragraphs of our own.")
    ] = None,
    score: PathOption = None,
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
    """Put controls beside a trace: random weights, other golds, another order of options, a constant answer, plain text."""
    given = dict(locals())
    run_analysis("controls", given | {"which": control_names(given.pop("control"))})


@app.command()
def lens(
    model: ModelOption,
    task: TaskOption,
    out: OutOption,
    lenses: Annotated[
        str, typer.Option("--lens", help="Lenses beside the logit lens, joined by commas: tuned, probe.")
    ] = "tuned,probe",
    text: Annotated[
        str,
        typer.Option(
            help="Text the tuned lens is trained on: boolq (passages from Wikipedia), prose, FILE.txt, .jsonl, .parquet or hub:OWNER/NAME/PATH.parquet."
        ),
    ] = "boolq",
    tokens: Annotated[int, typer.Option(help="Tokens of it.")] = 8192,
    steps: Annotated[int, typer.Option(help="Steps of descent per depth, after least squares.")] = 60,
    trained: Annotated[
        Path | None,
        typer.Option(help="A tuned lens of another run, DIR/lens/tuned.safetensors, instead of training one."),
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
    """Read every depth through other lenses as well: is it silent, or does it speak in another basis?"""
    given = dict(locals())
    names = [name.strip() for name in given.pop("lenses").split(",") if name.strip()]
    run_analysis("lens", given | {"lenses": names})


@app.command()
def noise(
    model: ModelOption,
    task: TaskOption,
    out: OutOption,
    eps: Annotated[
        str, typer.Option(help="Sizes of noise, in standard deviations of a token's state, joined by commas.")
    ] = "0.02,0.1,0.5",
    draws: Annotated[int, typer.Option(help="How often noise is drawn.")] = 3,
    positions: PositionsOption = "all",
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
    """Put noise on the stream at one depth at a time: where is the decision fragile?"""
    given = dict(locals()) | {"eps": _sizes(eps)}
    run_analysis("noise", given)


@app.command()
def ablate(
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
    batch_tokens: BatchOption = None,
    trust_remote_code: TrustOption = False,
    skip_bad_rows: SkipOption = False,
    resume: ResumeOption = True,
    cache_dir: CacheOption = None,
) -> None:
    """Take out every block and every adjacent pair, by skipping it and by its mean: what is each worth?"""
    run_analysis("ablate", dict(locals()))


@app.command()
def similarity(
    model: ModelOption,
    task: TaskOption,
    out: OutOption,
    step: StepsOption = None,
    score: PathOption = None,
    tokens: Annotated[int, typer.Option(help="Tokens of each question that stand for all.")] = 4,
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
    """Compare states and decisions of the dense model with those of steps of the directory's path: debiased CKA of all depths."""
    given = dict(locals())
    run_analysis("similarity", given | {"steps": given.pop("step") or ()})


@app.command()
def patch(
    model: ModelOption,
    task: TaskOption,
    out: OutOption,
    step: StepsOption = None,
    score: PathOption = None,
    positions: PositionsOption = "all",
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
    """Put the dense model's state into steps of the directory's path, and the reverse: from which depth on does the decision return?"""
    given = dict(locals())
    run_analysis("patch", given | {"steps": given.pop("step") or ()})


def run_analysis(verb: str, given: dict[str, Any]) -> None:
    """Run a verb with what was given on the command line, and print its sentence."""
    use_cache(given.pop("cache_dir"))
    from layercliff.models.lookup import resolve

    resolve(given["model"])  # a wrong name is said at once, before the model library is imported
    with progress() as (report, note):
        import layercliff

        show_licence(given["model"], note)
        run: Callable[..., Any] = getattr(layercliff, verb)
        run(**given, report=report, note=note)
    from layercliff.analyses.trace.result import open_run
    from layercliff.comparison import result as compared
    from layercliff.report import sections as analyses

    out: Path = given["out"]
    directory: RunDirectory = open_run(out)
    for section in analyses.sections(directory, compared.paths(directory, []), []):
        if section.name == verb:
            say(section.sentence)
    say(f"Page: {out / 'report.html'}")


def control_names(text: str | None) -> tuple[str, ...]:
    """Names joined by commas; none for all that the tasks allow. Raises `LayercliffError` for a text without a name."""
    if text is None or text.strip() == "all":
        return ()
    if not (found := tuple(part.strip() for part in text.split(",") if part.strip())):
        raise LayercliffError("The option --control names no control: leave it out, or write all.")
    return found


def _sizes(text: str) -> tuple[float, ...]:
    """``0.02,0.1`` as numbers."""
    try:
        found = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise LayercliffError(
            f"The option --eps is {quoted(text)}, and must be numbers joined by commas, such as 0.02,0.5."
        ) from error
    limits.check_each("eps", "eps", found)
    if not found:
        raise LayercliffError("The option --eps names no size of noise, and must be numbers such as 0.02,0.5.")
    return found
