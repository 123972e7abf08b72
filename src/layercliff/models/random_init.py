"""The random-init control: a model of the same shape with untrained weights."""

from copy import deepcopy
from typing import Any

import torch

from layercliff.models.model import Model


def random_init(model: Model, seed: int) -> Model:
    """A copy of `model` with weights as training begins, drawn by `seed`.

    Configuration, dtypes, device and tokenizer are the same. It takes as much memory again.
    """
    kind: Any = type(model.network)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = kind(deepcopy(model.network.config))
    weights = next(model.anatomy.blocks.parameters())
    network = network.to(device=model.device, dtype=weights.dtype)
    return Model.of(network, model.tokenizer, f"{model.name}, random weights", dtype=model.anatomy.dtype)
