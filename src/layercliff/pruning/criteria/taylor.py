"""Shortened LLaMA's Taylor criterion: |weight x gradient| of the loss on text (Kim et al. 2024)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, zip_longest

import torch

from layercliff.models.model import Model
from layercliff.pruning.criterion import criterion
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.one_shot import SHORTENED_LLAMA, OneShotSelector, one_shot, weights

MOST_TOKENS = 1280  # the paper's ten samples of 128


@one_shot(
    "taylor", about="|weight x gradient| of the loss on text", citation=SHORTENED_LLAMA, reads="text", cost="unknown"
)
def taylor(given: CriterionInput) -> tuple[Mapping[int, float], int]:
    """Minus the sum of |w dL/dw| over a block's weights, L the loss on text (Kim et al. 2024, after LeCun et al. 1989).

    The gradient is that of the first passages, taken from the tasks in turn, up to 1280 tokens in all.
    """
    model, seen, passes = given.model, 0, 0
    of_blocks = [list(weights(block)) for block in model.anatomy.blocks]
    with _gradients_of(model, [weight for block in of_blocks for weight in block]):
        for row in chain.from_iterable(zip_longest(*(rows for _, rows in given.text))):
            if row is None:
                continue
            if seen >= MOST_TOKENS:
                break
            with torch.enable_grad(), model.anatomy.computing():
                ids = torch.tensor([row.tokens], device=model.device)
                logits = model.network(input_ids=ids, use_cache=False).logits[0].float()
                targets = torch.tensor(row.targets, device=logits.device)
                loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
                loss.backward()  # type: ignore[no-untyped-call]
            seen += len(row.targets)
            passes += 3 * model.n_layers  # a backward pass costs two forward ones
        with torch.no_grad():
            return {
                b: -sum(float((w * w.grad).double().abs().sum()) for w in block if w.grad is not None) / max(1, seen)
                for b, block in enumerate(of_blocks)
            }, passes


@contextmanager
def _gradients_of(model: Model, wanted: Sequence[torch.nn.Parameter]) -> Iterator[None]:
    """Only the parameters `wanted` collect gradients meanwhile. Afterwards the network is as before."""
    parameters = list(model.network.parameters())
    asked = [parameter.requires_grad for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        for parameter in wanted:
            parameter.requires_grad_(True)
        yield
    finally:
        for parameter, before in zip(parameters, asked, strict=True):
            parameter.grad = None
            parameter.requires_grad_(before)


@criterion("taylor+", kind="one shot", about="taylor, the ends protected", citation=SHORTENED_LLAMA, reads="text")
def taylor_ends_protected(given: CriterionInput) -> OneShotSelector:
    """The same, but for the first four and the last two blocks."""
    return OneShotSelector(given.ends_protected(), taylor)
