"""The time that the matrix products of a pruning step take alone: the machine's own rate at the step's own shapes."""

import time
from collections import Counter
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from layercliff.models.model import Model
from layercliff.pruning.sweep import most_passes
from layercliff.readout.encoded_task import EncodedTask

Shape = tuple[int, int, int]  # rows, inputs, outputs


@torch.inference_mode()
def gemm_seconds(model: Model, part: EncodedTask, budget: int) -> float:
    """Seconds of the linear layers of a first step's block passes, each run alone.

    Attention's own products and the head are left out, so that the true share of matrix products is higher.
    """
    total = 0.0
    for shape, count in _shapes(model, part, budget).items():
        total += count * _seconds(shape)
    return total


def _shapes(model: Model, part: EncodedTask, budget: int) -> Counter[Shape]:
    """How often each shape is multiplied in a step."""
    found: Counter[Shape] = Counter()
    passes = most_passes(model.n_layers)
    for batch in part.batches(budget):
        one: Counter[Shape] = Counter()

        def note(module: nn.Module, args: tuple[Any, ...], _out: Any, one: Counter[Shape] = one) -> None:
            one[(args[0].numel() // args[0].shape[-1], module.in_features, module.out_features)] += 1

        with ExitStack() as hooks, model.anatomy.computing():
            passage = model.anatomy.enter(batch.levels(model.device))
            for module in model.anatomy.blocks[0].modules():
                if isinstance(module, nn.Linear):
                    hooks.callback(module.register_forward_hook(note).remove)
            passage.block(0, passage.embedded)
        for shape, count in one.items():
            found[shape] += count * passes
    return found


def _seconds(shape: Shape, repeats: int = 5) -> float:
    """The median time of one product, after a warm-up."""
    rows, inputs, outputs = shape
    x, weight = torch.randn(rows, inputs), torch.randn(outputs, inputs)
    taken = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        nn.functional.linear(x, weight)
        taken.append(time.perf_counter() - begin)
    return sorted(taken[1:])[repeats // 2]
