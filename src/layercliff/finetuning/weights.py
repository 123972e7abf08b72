"""Trained weights on disk: an adapter, or a whole network."""

from pathlib import Path
from typing import Any

from safetensors.torch import load_model, save_model
from transformers import PreTrainedModel

from layercliff.models import adapters
from layercliff.models.adapters import ADAPTER, quietly

WHOLE = "model.safetensors"


def save(trained: Any, folder: Path) -> None:
    """Write the adapter of `trained`, or all weights of a network without one, into `folder`."""
    if hasattr(trained, "peft_config"):
        with quietly():
            trained.save_pretrained(folder, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)  # a form to be filled in
    else:
        save_model(trained, str(folder / WHOLE))


def load(network: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """Load the weights in `folder` into `network`, which is pruned as the trained one was. An adapter is merged.

    Returns:
        The plain network.
    """
    if not (folder / ADAPTER).exists():
        load_model(network, folder / WHOLE)
        return network
    return adapters.merge(network, folder, type(network).__name__)
