"""The analysis `recover`, as it is registered."""

from collections.abc import Sequence
from dataclasses import dataclass

from layercliff.analyses.registry import RegisteredAnalysis
from layercliff.choices import Material, TrainingMethod
from layercliff.run.spec import AnalysisSpec, OfPath, option


@dataclass(frozen=True)
class RecoverSpec(OfPath, AnalysisSpec):
    """What `layercliff.recover` is told."""

    steps: Sequence[int] = option(
        (),
        names=("--step",),
        kind=list[int],
        limit="step",
        help="A step of the directory's path; several allowed. Default: the recommended one, and those before, at and "
        "beyond the cliff.",
    )
    seeds: int = option(1, help="Train each model so often, with seeds 0, 1, ...")
    how: TrainingMethod = option(
        "lora", old=("method",), help="lora: small matrices, merged afterwards; full: every weight."
    )
    updates: int = option(100, help="Optimiser updates of each training.")
    batch: int = option(16, help="Questions per update.")
    rate: float | None = option(None, help="The highest learning rate. Default: 5e-4 for lora, 5e-5 for full.")
    rank: int = option(16, help="Of the LoRA matrices.")
    distill: float = option(0.0, help="The part of the loss that is the divergence from the dense model.")
    material: Material | None = option(
        None,
        help="What is trained on: questions asked nowhere else (the default where there are 100), or the half the "
        "path was chosen on.",
    )


ANALYSIS = RegisteredAnalysis(
    "recover",
    __package__,
    RecoverSpec,
    heading="Pruned models after training",
    about="Train steps of the directory's path, and the dense model alike, on questions the report half does not hold: "
    "does the decision come back?",
    place=80,
    of_steps=True,
)
