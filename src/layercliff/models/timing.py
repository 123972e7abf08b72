"""Dense and pruned networks timed in turns, so that other load on the machine falls on both."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedModel

from layercliff.models.greedy_decoding import GreedyDecoder, last_logits_only
from layercliff.models.merged_blocks import NOTHING, Blends
from layercliff.models.model import Model
from layercliff.models.surgery import pruned

TURN = 4  # tokens that one network generates before it is the other's turn


@dataclass(frozen=True)
class Timings:
    """Seconds for `tokens` tokens, measured `len(dense)` times with each network.

    Measurements with the same index are neighbours in time.
    """

    tokens: int
    dense: tuple[float, ...]
    pruned: tuple[float, ...]


def prompt(
    model: Model, kept: Sequence[int], ids: Int[Tensor, " position"], repeats: int, blends: Blends = NOTHING
) -> Timings:
    """Time a forward pass over `ids` that ends in the logits of the last position.

    Each network runs `repeats` times, after one warm-up.
    """
    row = ids[None].to(model.device)
    options = {"use_cache": False} | last_logits_only(model.network)
    forward = partial(_forward, model.network, row, options)
    seconds = [_in_turns(model, kept, blends, forward, forward, swapped=bool(n % 2)) for n in range(repeats + 1)]
    return Timings(len(ids), *zip(*seconds[1:], strict=True))


@torch.inference_mode()
def _forward(network: PreTrainedModel, row: Int[Tensor, "1 position"], options: dict[str, Any]) -> None:
    network(input_ids=row, **options)


def generation(
    model: Model, kept: Sequence[int], prompts: Sequence[Sequence[int]], turns: int, blends: Blends = NOTHING
) -> tuple[Timings, tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]]:
    """Continue each of `prompts` greedily with each network, in turns of `TURN` tokens.

    The first turn reads the prompt and is not timed. `turns` more are. **Returns** the timings and, per prompt, the
    new tokens of the dense and of the pruned network.
    """
    seconds: list[tuple[float, float]] = []
    texts = []
    for tokens in prompts:
        dense, small = GreedyDecoder(model.network, tokens), GreedyDecoder(model.network, tokens)
        for turn in range(turns + 1):
            both = _in_turns(
                model, kept, blends, partial(dense.advance, TURN), partial(small.advance, TURN), swapped=bool(turn % 2)
            )
            if turn:
                seconds.append(both)
        texts.append((tuple(dense.tokens), tuple(small.tokens)))
    return Timings(TURN, *zip(*seconds, strict=True)), tuple(texts)


def _in_turns(
    model: Model,
    kept: Sequence[int],
    blends: Blends,
    dense: Callable[[], None],
    small: Callable[[], None],
    swapped: bool,
) -> tuple[float, float]:
    """Seconds of `dense` with the dense network and of `small` with the pruned one, in this order or `swapped`."""
    found = {}
    for is_pruned in (True, False) if swapped else (False, True):
        within: AbstractContextManager[None] = pruned(model.network, kept, blends) if is_pruned else nullcontext()
        with within, model.anatomy.calling():
            _finish(model.device)
            begin = time.perf_counter()
            (small if is_pruned else dense)()
            _finish(model.device)
            found[is_pruned] = time.perf_counter() - begin
    return found[False], found[True]


def _finish(device: torch.device) -> None:
    """Wait for the device: a call returns before its work is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
