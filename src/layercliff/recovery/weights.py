"""Trained weights on disk: an adapter or a whole network, and a network that wears them."""

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import load_model, save_model
from transformers import PreTrainedModel

from layercliff.errors import LayercliffError

ADAPTER = "adapter_config.json"
WHOLE = "model.safetensors"


def library(name: str) -> Any:
    """A library of the extra ``recover``, imported. Raises `LayercliffError` with the cure where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise LayercliffError(
            f"Training needs the package {error.name or name}, which is not installed: pip install '.[recover]' in a copy of the repository."
        ) from error


@contextmanager
def quietly() -> Iterator[None]:
    """While this lasts, the libraries do not tell the user what they will have renamed in each other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def save(trained: Any, folder: Path) -> None:
    """Write the adapter of `trained`, or all weights of a network without one, into `folder`."""
    if hasattr(trained, "peft_config"):
        with quietly():
            trained.save_pretrained(folder, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)  # a form to be filled in
    else:
        save_model(trained, str(folder / WHOLE))


def wear(network: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """Give `network`, pruned as the trained one was, the weights in `folder`: an adapter is merged into its own. **Returns** the plain network."""
    if not (folder / ADAPTER).exists():
        load_model(network, folder / WHOLE)
        return network
    peft = library("peft")
    with quietly():
        merged: PreTrainedModel = peft.PeftModel.from_pretrained(network, folder).merge_and_unload()
    return merged
