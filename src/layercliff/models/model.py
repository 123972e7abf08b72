"""A loaded causal language model, ready to be read."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from layercliff.errors import ModelError
from layercliff.models.anatomy import Anatomy, dissect, text_config

DEFAULT_BATCH_TOKENS = {"cpu": 4096, "cuda": 32_768, "mps": 8192}


@dataclass(frozen=True)
class Model:
    """A network with its tokenizer and anatomy.

    Attributes:
        name: What messages call it.
        revision: Identifies the weights: a commit, sha256 or digest.
        network: The network of transformers.
        tokenizer: Its tokenizer.
        anatomy: Its parts, for the blockwise pass.
    """

    name: str
    revision: str
    network: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    anatomy: Anatomy

    @staticmethod
    def of(
        network: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        name: str = "",
        revision: str = "",
        dtype: torch.dtype | None = None,
    ) -> "Model":
        """Make a model of an already loaded network.

        Args:
            network: A causal language model of transformers.
            tokenizer: Its tokenizer.
            name: What messages call it (default: that of its configuration).
            revision: Identifies the weights (default: `digest`).
            dtype: What the blocks compute in (default: the network's own).

        Returns:
            The model.

        Raises:
            ModelError: See `layercliff.models.anatomy.dissect`. Also for weights that do not all lie on one device.
        """
        inner = unwrapped(network)
        _check_placement(inner)
        inner.eval()  # type: ignore[no-untyped-call]
        name = name or inner.config.name_or_path or type(inner).__name__
        return Model(name, revision or digest(inner), inner, tokenizer, dissect(inner, dtype))

    @property
    def n_layers(self) -> int:
        """L, the number of transformer blocks."""
        return len(self.anatomy.blocks)

    @property
    def device(self) -> torch.device:
        """The device that token ids must be on."""
        return next(self.network.get_input_embeddings().parameters()).device

    @property
    def dtype(self) -> str:
        """What the blocks compute in, e.g. ``float32``."""
        return str(self.anatomy.dtype).removeprefix("torch.")

    @property
    def weights_dtype(self) -> str:
        """The dtype that the weights are stored in."""
        return str(next(self.anatomy.blocks.parameters()).dtype).removeprefix("torch.")

    def batch_tokens(self, wanted: int | None = None) -> int:
        """The padded tokens per batch.

        Args:
            wanted: A number. None for the default of the device.

        Returns:
            A number of tokens.
        """
        default = DEFAULT_BATCH_TOKENS.get(self.device.type, DEFAULT_BATCH_TOKENS["cpu"])
        return default if wanted is None else wanted

    @cached_property
    def max_positions(self) -> int | None:
        """The longest sequence in tokens, where the configuration says it."""
        return getattr(text_config(self.network.config), "max_position_embeddings", None)


def unwrapped(network: Any) -> PreTrainedModel:
    """The network inside a data-parallel or compiled wrapper.

    Args:
        network: Anything.

    Returns:
        A network of transformers.

    Raises:
        ModelError: For anything that is not a language model of transformers.
    """
    while isinstance(network, nn.DataParallel | nn.parallel.DistributedDataParallel) or hasattr(network, "_orig_mod"):
        network = getattr(network, "_orig_mod", None) or network.module
    if not isinstance(network, PreTrainedModel):
        cure = ": merge its adapter with merge_and_unload() first" if hasattr(network, "merge_and_unload") else ""
        raise ModelError(f"{type(network).__name__} is not a language model as transformers loads it{cure}.")
    return network


def _check_placement(network: PreTrainedModel) -> None:
    places = {name: parameter.device for name, parameter in network.named_parameters()}
    absent = [name for name, device in places.items() if device.type == "meta"]
    if absent:
        raise ModelError(
            f"{len(absent)} of {len(places)} tensors of {type(network).__name__} are not in memory ({absent[0]} for "
            "one): "
            "load it without a device_map that offloads, with dtype=torch.bfloat16 if it does not fit."
        )
    if len(devices := dict.fromkeys(map(str, places.values()))) > 1:
        raise ModelError(
            f"The weights of {type(network).__name__} lie on several devices ({', '.join(devices)}): load it on one, "
            "with dtype=torch.bfloat16 if it does not fit."
        )


@torch.inference_mode()
def digest(network: PreTrainedModel) -> str:
    """A fingerprint of weights in memory: every parameter's shape and up to 256 evenly spaced values.

    Args:
        network: The network.

    Returns:
        A text.
    """
    found = hashlib.sha256()
    for name, parameter in network.named_parameters():
        values = parameter.detach().flatten()
        sample = values[:: max(1, len(values) // 256)][:256].float().cpu().numpy()
        found.update(f"{name} {tuple(parameter.shape)}".encode())
        found.update(sample.tobytes())
    return f"memory:{found.hexdigest()[:16]}"
