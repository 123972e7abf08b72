"""A tuned lens as a file: its maps, and how they were trained."""

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
    """How a tuned lens was trained: `positions` of the text (fingerprint `digest`), and `steps` of descent.

    Per depth 0..L-1: the chosen `ridge`, and the mean KL divergence (nats, whole vocabulary) from the model's own
    distribution, of the `logit` lens and of this one (`tuned`). It is measured at `held_out` positions.
    """

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
    """The maps of depths 0..L-1, and how they were trained."""

    weights: Float[np.ndarray, "depth d d"]
    biases: Float[np.ndarray, "depth d"]
    provenance: LensProvenance

    def lens(self, model: Model) -> TunedLens:
        """The lens for `model`. Raises `ModelError` where it was trained on another model."""
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
    """A lens that `write` wrote. Raises `ModelError` for any other file."""
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
