"""The analysis `controls`, as it is registered."""

from collections.abc import Sequence
from dataclasses import dataclass

from layercliff.analyses.registry import RegisteredAnalysis
from layercliff.choices import Control
from layercliff.run import parsing
from layercliff.run.spec import AnalysisSpec, option


@dataclass(frozen=True)
class ControlsSpec(AnalysisSpec):
    """What `layercliff.controls` is told."""

    which: Sequence[Control] = option(
        (),
        names=("--control",),
        kind=str | None,
        read=parsing.controls,
        shown=None,
        help="Controls to put beside the trace: random-weights, shuffled-gold, wrong-gold, shuffled-options, constant, "
        "plain-text; several joined by commas, or all.",
    )
    draws: int = option(1, help="How often weights and orders of options are drawn.")
    text: str | None = option(
        None, help="Plain text: FILE.txt, .jsonl or .parquet. Default: a few paragraphs of our own."
    )
    criterion: str | None = option(
        None, old=("score",), help="The path's criterion, where the directory holds several paths."
    )


ANALYSIS = RegisteredAnalysis(
    "controls",
    __package__,
    ControlsSpec,
    heading="Controls",
    about=(
        "Put controls beside a trace: random weights, other golds, another order of options, a constant answer, "
        "plain text."
    ),
    place=20,
)
