"""What `layercliff.evaluate` is told."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layercliff.choices import Depths, Sampler, Scored
from layercliff.run import parsing
from layercliff.run.spec import AnalysisSpec, option

if TYPE_CHECKING:
    from layercliff.evaluation.result import Evaluated
else:  # `layercliff --help` imports no tables
    Evaluated = Any


@dataclass(frozen=True)
class EvaluateSpec(AnalysisSpec):
    """How benchmarks are asked; the defaults are those of lm-evaluation-harness."""

    format: Scored | None = option(None, names=("--format", "-f"), help="cloze or letter; each task has a default.")
    sampler: Sampler = option(
        "per_item",
        help="fixed: the same examples for all questions; first_n, per_item: as lm-evaluation-harness draws.",
    )
    limit: int | None = option(None, help="Ask the first so many questions of each task, of each subject for mmlu.")
    depths: Depths = option(
        (),
        kind=str | None,
        read=parsing.depths,
        shown=None,
        limit="depth",
        help="Depths read beside the last, through the logit lens: all, or e.g. 0,6,12-18.",
    )
    against: Evaluated | str | Path | None = option(
        None,
        kind=Path | None,
        help="Another model's finished evaluation of the same questions: say what differs.",
    )
