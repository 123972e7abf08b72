"""Load trained weights for a pruned step, from a run directory."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layercliff.analyses.recover import result as recovered
from layercliff.analyses.trace import result as traced
from layercliff.errors import RunError, numbered
from layercliff.finetuning import weights
from layercliff.metrics.analysis import Analysis, analyse
from layercliff.metrics.statistics import RESAMPLES
from layercliff.models.model import Model
from layercliff.models.precision import stored_in
from layercliff.pruning.selected_step import SelectedStep
from layercliff.readout.trace import Trace
from layercliff.report import words


@dataclass(frozen=True)
class TrainedStep:
    """A trained step of a path.

    `folder` holds its weights, `trace` is that of the ``report`` half with its `analysis`, `about` says how it was
    trained, and `said` the same in words.
    """

    folder: Path
    trace: Trace
    analysis: Analysis
    about: Mapping[str, Any]
    said: str


def find_trained_step(run: Path, chosen: SelectedStep, seed: int) -> TrainedStep:
    """What `layercliff.recover` trained of a step in the run directory `run` by `seed`.

    Raises `RunError` where there is no such training.
    """
    directory = traced.open_run(run)
    found = recovered.read(directory)
    if found is None:
        raise RunError(f"{run} holds no finished training: run `layercliff recover` with --out {run}.")
    folder = recovered.folder_of(chosen.step, seed)
    known = (
        found.settings.criterion == chosen.pruned.criterion_name
        and chosen.step in found.steps
        and seed < found.settings.seeds
    )
    if not known or found.kept(chosen.step) != chosen.kept:
        steps = ", ".join(map(str, found.steps))
        raise RunError(
            f"Step {chosen.step} of the path by {chosen.pruned.criterion_name} was not trained in {run} by seed "
            f"{seed}: it holds steps {steps} of the path by {found.settings.criterion}, "
            f"{numbered('seed', found.settings.seeds)}."
        )
    record = recovered.record(directory, folder)
    if record is None or record.identity != found.identity(chosen.step, seed):
        raise RunError(
            f"The weights in {run / folder} are of another training than the traces: run `layercliff recover` to its "
            "end."
        )
    trace = found.trained[chosen.step][seed]
    analyses = analyse(trace, RESAMPLES, found.subject.seed)
    analysis = analyses.get("joint") or next(iter(analyses.values()))
    how = {name: getattr(found.settings, name) for name in recovered.HOW}
    about = {**how, "seed": seed, "material": dict(found.material)}
    return TrainedStep(run / folder, trace, analysis, about, words.training(found))


def with_trained_weights(pruned: Model, folder: Path) -> Model:
    """A pruned model with the trained weights in `folder`, in the dtype that it computes in.

    It takes over the network of `pruned`.
    """
    network: Any = pruned.network
    stored_in(pruned.anatomy.dtype, network)
    network = weights.load(network, folder)
    return Model.of(network, pruned.tokenizer, pruned.name, pruned.revision, pruned.anatomy.dtype)
