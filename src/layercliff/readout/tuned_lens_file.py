"""A tuned lens as a file: its maps, and of what model, from what text and how well they were trained."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import from_numpy

from layercliff.errors import ModelError
from layercliff.models.model import Model
from layercliff.readout.lens import TunedLens
from layercliff.run import stored_files

METADATA = "layercliff"


@dataclass(frozen=True)
class LensProvenance:
    """Where a tuned lens comes from. `positions` of the text (fingerprint `digest`) were gathered, `steps` of descent
    followed the least squares. By depth 0..L-1: the `ridge` that was chosen, and the mean KL divergence (nats, whole
    vocabulary) of the `logit` lens and of this one from the model's own distribution, at `held_out` positions of
    passages that took no part."""

    model: str
    revision: str
    dtype: str
    text: str
    digest: str
    positions: int
    held_out: int
    steps: int
    seed: int
    ridge: tuple[float, ...]
    logit: tuple[float, ...]
    tuned: tuple[float, ...]
    versions: Mapping[str, str]


@dataclass(frozen=True)
class TrainedLens:
    """The maps of depths 0..L-1, and where they come from."""

    weights: Float[np.ndarray, "depth d d"]
    biases: Float[np.ndarray, "depth d"]
    provenance: LensProvenance

    def lens(self, model: Model) -> TunedLens:
        """The lens, to read `model` with. Raises `ModelError` for another model than it was trained on."""
        mine, theirs = self.provenance, (model.revision, model.dtype)
        if (mine.revision, mine.dtype) != theirs or len(self.weights) != model.n_layers:
            raise ModelError(
                f"This tuned lens was trained on {mine.model} ({mine.revision}, {mine.dtype}), not on {model.name} "
                f"({model.revision}, {model.dtype}): train one of its own."
            )
        weights, biases = (from_numpy(array).to(model.device) for array in (self.weights, self.biases))
        return TunedLens(model.anatomy.unembedding, weights, biases)


def write(file: Path, trained: TrainedLens) -> None:
    """Write safetensors, with the provenance as JSON in their metadata."""
    about = {METADATA: json.dumps(asdict(trained.provenance), sort_keys=True)}
    stored_files.write_arrays(file, {"weights": trained.weights, "biases": trained.biases}, about)


def read(file: Path) -> TrainedLens:
    """A lens that `write` wrote. Raises `ModelError` for a file that is none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "numpy") as found:
            about = json.loads((found.metadata() or {})[METADATA])
            lists = {name: tuple(about[name]) for name in ("ridge", "logit", "tuned")}
            return TrainedLens(
                found.get_tensor("weights"), found.get_tensor("biases"), LensProvenance(**{**about, **lists})
            )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{file} holds no tuned lens ({type(error).__name__}: {error}): give the tuned.safetensors of a run."
        ) from error
