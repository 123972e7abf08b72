"""A model of the same shape that has learnt nothing."""

from copy import deepcopy
from typing import Any

import torch

from layercliff.models.model import Model


def random_init(model: Model, seed: int) -> Model:
    """A model of `model`'s configuration with the weights that its family begins training with, drawn by `seed`, in the
    same dtypes and on the same device, with the same tokenizer. It takes as much memory again."""
    kind: Any = type(model.network)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = kind(deepcopy(model.network.config))
    weights = next(model.anatomy.blocks.parameters())
    network = network.to(device=model.device, dtype=weights.dtype)
    return Model.of(network, model.tokenizer, f"{model.name}, random weights", dtype=model.anatomy.dtype)
