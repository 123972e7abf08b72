"""The options that commands share, each defined once."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from layercliff import limits
from layercliff.choices import DType, Format, Normalisation, OptionMass, Positions, Sampler, Score
from layercliff.errors import LayercliffError, quoted

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
        "--tasks",
        "-t",
        help="A task (see `layercliff tasks`), NAME=FILE, a .jsonl or .csv file of questions; several joined by commas.",
    ),
]
FormatOption = Annotated[
    Format | None, typer.Option("--format", "-f", help="letter, cloze or first_token; each task has a default.")
]
ShotsOption = Annotated[int, typer.Option(help="Worked examples before each question.")]
SamplerOption = Annotated[
    Sampler,
    typer.Option(help="fixed: the same examples for all questions; first_n, per_item: as lm-evaluation-harness draws."),
]
LimitOption = Annotated[
    int | None, typer.Option(help="Ask at most so many questions of each task, after a shuffle by the seed.")
]
SeedOption = Annotated[int, typer.Option(help="Decides shuffles, distractors, halves and resamples.")]
DtypeOption = Annotated[DType, typer.Option(help="What blocks compute in.")]
WeightsOption = Annotated[DType | None, typer.Option(help="What weights are stored in, if narrower than --dtype.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
NormaliseOption = Annotated[Normalisation, typer.Option("--normalisation", help="What cloze scores are divided by.")]
ChatOption = Annotated[bool, typer.Option("--chat", help="Ask through the model's chat template.")]
MassOption = Annotated[
    OptionMass, typer.Option(help="Depths at which the options' share of the whole vocabulary is computed.")
]
BatchOption = Annotated[int | None, typer.Option(help="Tokens that pass through the model together.")]
TrustOption = Annotated[bool, typer.Option("--trust-remote-code", help="Run code that comes with the model.")]
SkipOption = Annotated[
    bool,
    typer.Option(
        "--skip-bad-rows", help="Leave out rows that cannot be read, counted and listed, instead of stopping."
    ),
]
ScoreOption = Annotated[
    Score, typer.Option(help="What blocks are chosen by (see `layercliff criteria`).", metavar="CRITERION")
]
RemoveOption = Annotated[int | None, typer.Option(help="Remove so many blocks.")]
RatioOption = Annotated[float | None, typer.Option(help="Remove this share of the blocks, e.g. 0.25.")]
ProtectOption = Annotated[str, typer.Option(help="Blocks that stay, e.g. 0,1.")]
WatchOption = Annotated[str, typer.Option(help="Tasks measured along the path that take no part in the choice.")]
SplitsOption = Annotated[int, typer.Option(help="Repeat the path over so many draws of the two halves.")]
RaceOption = Annotated[
    float | None,
    typer.Option(
        help="Drop surely worse candidates early; the probability of another choice over the path, e.g. 0.05."
    ),
]
TextOption = Annotated[
    str | None,
    typer.Option(
        help="Text for criteria that read text: FILE.txt, .jsonl, .parquet, hub:OWNER/NAME/PATH.parquet, prose or boolq. Default: the tasks' questions with answers."
    ),
]
DrawsOption = Annotated[int, typer.Option(help="Paths of the criterion random.")]
WithinOption = Annotated[str, typer.Option(help="Blocks that the criterion random removes first, e.g. 0-11.")]
StepsOption = Annotated[
    list[int] | None,
    typer.Option(
        "--step",
        help="A step of the directory's path; several allowed. Default: the recommended and the collapsed one.",
    ),
]
PathOption = Annotated[Score | None, typer.Option("--score", help="The path, where the directory holds several.")]
ControlsOption = Annotated[
    str | None,
    typer.Option(
        "--control",
        help="Controls to put beside the trace: random-weights, shuffled-gold, wrong-gold, shuffled-options, constant, plain-text; several joined by commas, or all.",
    ),
]
MemoryOption = Annotated[float, typer.Option(help="GB of states held at a time; what fits is reused.")]
ResumeOption = Annotated[
    bool, typer.Option("--resume/--fresh", help="Go on from what DIR holds of this, or remove that and begin anew.")
]
PositionsOption = Annotated[
    Positions, typer.Option(help="Positions that are changed: all of a prompt, or those that are read (decision).")
]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="The run directory; made if it is not there.")]
CacheOption = Annotated[
    Path | None, typer.Option(help="Where downloads and converted models are kept.", envvar="LAYERCLIFF_CACHE")
]


def numbers(text: str | None, option: str, what: str) -> tuple[int, ...]:
    """``0,3,12-18`` as numbers, none where nothing was given.

    Raises `LayercliffError` for what is no number of a `what`, and for a range that runs backwards.
    """
    found: list[int] = []
    for part in filter(None, (part.strip() for part in (text or "").split(","))):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        ends = [_number(end) for end in ((first, last) if dash else (first,))]
        if None in ends or any(limits.fault(what, end) for end in ends):
            raise LayercliffError(
                f"The option --{option} holds {quoted(part)}, which is not a {what}'s number: "
                f"give numbers from 0 to {limits.LIMITS[what].most:,}, joined by commas, such as 0,3 or 0-11."
            )
        begin, end = int(first), int(last or first)
        if end < begin:
            raise LayercliffError(f"The option --{option} holds {part}, which runs backwards: write {end}-{begin}.")
        found += range(begin, end + 1)
    if text and not found:
        raise LayercliffError(f"The option --{option} is {quoted(text)}, which names no {what}: leave it out.")
    return tuple(found)


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 10 else None


OTHER_NAMES = {"steps": "descent"}
"""Options whose limits have another name."""


USAGE: type[Exception] = typer.BadParameter.__mro__[1]
"""What typer raises for a command line that it cannot read."""


class Once(TyperCommand):
    """A command that refuses numbers beyond their limits, and an option of one value that is given twice.

    The first of them would be dropped in silence.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Raises `LayercliffError`."""
        try:
            _, _, order = self.make_parser(ctx).parse_args(args=list(args))
            for option, times in Counter(order).items():
                if not isinstance(option, TyperOption) or option.multiple or option.is_flag or times == 1:
                    continue
                joined = ", or join its values by commas" if "joined by commas" in (option.help or "") else ""
                raise LayercliffError(f"{option.opts[0]} was given {times} times: give it once{joined}.")
            rest = super().parse_args(ctx, args)
        except USAGE as error:
            said = " ".join(error.format_message().split())[:300].rstrip(".")  # type: ignore[attr-defined]
            raise LayercliffError(f"{said}: see layercliff {ctx.info_name} --help.") from error
        _check_numbers(ctx.params)
        return rest


def _check_numbers(given: Mapping[str, Any]) -> None:
    """Raise `LayercliffError` for the first number beyond its limits; a text is looked at where it is read."""
    for name, value in given.items():
        known = OTHER_NAMES.get(name, name)
        if known in limits.LIMITS and isinstance(value, int | float):
            limits.check(**{known: value})
        elif known in limits.LIMITS and isinstance(value, list | tuple):
            limits.check_each(known, known, value)
