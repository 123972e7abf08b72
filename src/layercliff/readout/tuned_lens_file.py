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
    """How a tuned lens was trained, and what it is worth.

    Attributes:
        model: Name of the model.
        revision: Its revision or fingerprint.
        dtype: What blocks computed in.
        text: Name of the text.
        digest: Fingerprint of the text.
        positions: Tokens that were used.
        held_out: Positions at which losses are measured.
        steps: Steps of descent per depth.
        seed: Drew the passages.
        ridge: [depth 0..L-1] The chosen penalty.
        logit: [depth 0..L-1] Mean KL divergence (nats, whole vocabulary) of the logit lens from the model's own
            distribution.
        tuned: [depth 0..L-1] The same of this lens.
        versions: Versions of packages.
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
    """The maps of depths 0..L-1, and how they were trained.

    Attributes:
        weights: [depth d d] A of ``h + A h + b``.
        biases: [depth d] b.
        provenance: How they were trained.
    """

    weights: Float[np.ndarray, "depth d d"]
    biases: Float[np.ndarray, "depth d"]
    provenance: LensProvenance

    def lens(self, model: Model) -> TunedLens:
        """Make the lens for a model.

        Args:
            model: The one it was trained on.

        Returns:
            A lens on the model's device.

        Raises:
            ModelError: Where it was trained on another model.
        """
        mine, theirs = self.provenance, (model.revision, model.dtype)
        if (mine.revision, mine.dtype) != theirs or len(self.weights) != model.n_layers:
            raise ModelError(
                f"This tuned lens was trained on {mine.model} ({mine.revision}, {mine.dtype}), not on {model.name} "
                f"({model.revision}, {model.dtype}): train one of its own."
            )
        weights, biases = (from_numpy(array).to(model.device) for array in (self.weights, self.biases))
        return TunedLens(model.anatomy.unembedding, weights, biases)


def write(file: Path, trained: TrainedLens) -> None:
    """Write safetensors, with the provenance as JSON in their metadata.

    Args:
        file: Where to.
        trained: The lens.
    """
    about = {METADATA: json.dumps(asdict(trained.provenance), sort_keys=True)}
    stored_files.write_arrays(file, {"weights": trained.weights, "biases": trained.biases}, about)


def read(file: Path) -> TrainedLens:
    """Read a lens that `write` wrote.

    Args:
        file: Where it is.

    Returns:
        The lens.

    Raises:
        ModelError: For any other file.
    """
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
