"""LoRA and similar adapters: found beside a checkpoint and merged into its weights."""

import importlib
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import safe_open
from transformers import PreTrainedModel

from layercliff.errors import LayercliffError, ModelError
from layercliff.models import checkpoint_files
from layercliff.models.library_errors import LibraryErrors

ADAPTER = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def library(name: str) -> Any:
    """Import a library of the extra ``recover``.

    Raises `LayercliffError` with the command that installs it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise LayercliffError(
            f"Adapters and training need the package {error.name or name}, which is not installed: "
            "pip install '.[recover]' in a copy of the repository."
        ) from error


@contextmanager
def quietly() -> Iterator[None]:
    """Silence the deprecation warnings that the libraries raise in each other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def base_of(directory: Path) -> str:
    """The name of the model that the adapter in `directory` was trained on.

    Raises `ModelError` where its configuration does not say.
    """
    base = checkpoint_files.read_json(directory / ADAPTER).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise ModelError(
            f"{directory / ADAPTER} does not name its base model: write it there as base_model_name_or_path."
        )
    return base


def merge(network: PreTrainedModel, folder: Path, name: str) -> PreTrainedModel:
    """Merge the adapter in `folder` into the weights of `network`. **Returns** the plain network.

    Raises `ModelError` for an adapter of another model. Part of it would be merged, or nothing.
    """
    peft = library("peft")
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"The adapter in {folder} has no {WEIGHTS}: layercliff loads no pickled weights.")
    checkpoint_files.header(folder / WEIGHTS)
    with (
        LibraryErrors("adapter", name, "give the base model that it was trained on, or take the adapter out."),
        quietly(),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of keys that do not fit, which are counted here
            adapted = peft.PeftModel.from_pretrained(network, folder)
        with safe_open(folder / WEIGHTS, "pt") as file:
            given = set(file.keys())
        wanted = set(peft.get_peft_model_state_dict(adapted, save_embedding_layers=False))
        if odd := sorted(given ^ wanted):
            where = "the model has no place for" if odd[0] in given else "it lacks"
            raise ModelError(
                f"The adapter in {folder} is not one of {name}: {where} {len(odd)} of its tensors ({odd[0]} for one)."
            )
        merged: PreTrainedModel = adapted.merge_and_unload()
    return merged


@contextmanager
def left_out(location: str) -> Iterator[str]:
    """Yield a directory with the checkpoint at `location`, without its adapter.

    transformers would load the adapter unasked.
    """
    directory = Path(location)
    if not (directory / ADAPTER).exists():
        yield location
        return
    with tempfile.TemporaryDirectory() as plain:
        for file in directory.iterdir():
            if not file.name.startswith("adapter_"):
                (Path(plain) / file.name).symlink_to(file.resolve())
        yield plain
