"""Trained weights of a run directory, and pruned models that wear them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layercliff.analyses.trace import result as traced
from layercliff.errors import RunError, numbered
from layercliff.finetuning import weights
from layercliff.metrics.analysis import Analysis, analyse
from layercliff.metrics.statistics import RESAMPLES
from layercliff.models.model import Model
from layercliff.models.precision import stored_in
from layercliff.pruning.selected_step import SelectedStep
from layercliff.readout.trace import Trace
from layercliff.recovery import result as recovered
from layercliff.report import words


@dataclass(frozen=True)
class Worn:
    """A trained step of a path: the `folder` of its weights, its trace on the ``report`` half with what that says, and how it was trained, also in words."""

    folder: Path
    trace: Trace
    analysis: Analysis
    about: Mapping[str, Any]
    said: str


def worn_by(run: Path, chosen: SelectedStep, seed: int) -> Worn:
    """What a recovery in the run directory `run` trained of a step by `seed`. Raises `RunError` for what is not there."""
    directory = traced.open_run(run)
    found = recovered.read(directory)
    if found is None:
        raise RunError(f"{run} holds no finished training: run `layercliff recover` with --out {run}.")
    folder = recovered.folder_of(chosen.step, seed)
    known = found.settings.score == chosen.pruned.score and chosen.step in found.steps and seed < found.settings.seeds
    if not known or found.kept(chosen.step) != chosen.kept:
        steps = ", ".join(map(str, found.steps))
        raise RunError(
            f"Step {chosen.step} of the path by {chosen.pruned.score} was not trained in {run} by seed {seed}: it holds steps {steps} of the path by {found.settings.score}, {numbered('seed', found.settings.seeds)}."
        )
    record = recovered.record(directory, folder)
    if record is None or record.identity != found.identity(chosen.step, seed):
        raise RunError(
            f"The weights in {run / folder} are of another training than the traces: run `layercliff recover` to its end."
        )
    trace = found.trained[chosen.step][seed]
    analyses = analyse(trace, RESAMPLES, found.subject.seed)
    about = {
        **{name: getattr(found.settings, name) for name in recovered.HOW},
        "seed": seed,
        "material": dict(found.material),
    }
    return Worn(
        run / folder, trace, analyses.get("joint") or next(iter(analyses.values())), about, words.training(found)
    )


def wearing(pruned: Model, folder: Path) -> Model:
    """A pruned model with the trained weights in `folder`, in the dtype that it computes in; its network becomes the new one's."""
    network: Any = pruned.network
    stored_in(pruned.anatomy.dtype, network)
    network = weights.wear(network, folder)
    return Model.of(network, pruned.tokenizer, pruned.name, pruned.revision, pruned.anatomy.dtype)
