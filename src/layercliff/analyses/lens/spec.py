"""The analysis `lens`, as it is registered."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from layercliff.analyses.registry import RegisteredAnalysis
from layercliff.choices import Lenses
from layercliff.run import parsing
from layercliff.run.spec import AnalysisSpec, option


@dataclass(frozen=True)
class LensSpec(AnalysisSpec):
    """What `layercliff.lens` is told."""

    lenses: Sequence[Lenses] = option(
        ("tuned", "probe"),
        names=("--lens",),
        kind=str,
        read=parsing.names,
        shown="tuned,probe",
        help="Lenses beside the logit lens, joined by commas: tuned, probe.",
    )
    text: str = option(
        "boolq",
        help="Text the tuned lens is trained on: boolq (passages from Wikipedia), prose, FILE.txt, .jsonl, .parquet "
        "or hub:OWNER/NAME/PATH.parquet.",
    )
    tokens: int = option(8192, help="Tokens of it.")
    steps: int = option(60, limit="descent", help="Steps of descent per depth, after least squares.")
    trained: str | Path | None = option(
        None,
        kind=Path | None,
        limit="none",
        help="A tuned lens of another run, DIR/lens/tuned.safetensors, instead of training one.",
    )


ANALYSIS = RegisteredAnalysis(
    "lens",
    __package__,
    LensSpec,
    heading="Lenses",
    about="Read every depth through other lenses as well: is it silent, or does it speak in another basis?",
    place=30,
)
