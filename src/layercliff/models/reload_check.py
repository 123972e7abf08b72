"""What a checkpoint computes, found in a fresh process. `main` takes a checkpoint, an input file and an output file.

The input is a safetensors file of sequences and queries. The output holds logits, answers and continuations. Its
metadata holds a digest of every tensor and the missing and unexpected ones.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedModel

from layercliff.models import loading
from layercliff.models.anatomy import find_blocks
from layercliff.models.precision import computing_in

NEW_TOKENS = 8
COPIES = (0, 0, 1, 2)
"""Copies of the weights that are compared, by where they begin: so many elements after an aligned address."""


@dataclass(frozen=True)
class LogitQuery:
    """A sequence, and the logits wanted: those of ``targets[j]`` at ``positions[j]``. Positions may count from the
    end.
    """

    tokens: Sequence[int]
    positions: Sequence[int]
    targets: Sequence[int]


def request(sequences: Sequence[Sequence[int]], queries: Sequence[LogitQuery]) -> dict[str, Tensor]:
    """Sequences and queries as tensors: ``sequence.N``, ``query.N`` and ``wanted.N`` (positions above targets)."""
    found = {f"sequence.{n:05}": torch.tensor(tokens) for n, tokens in enumerate(sequences)}
    for n, query in enumerate(queries):
        found[f"query.{n:05}"] = torch.tensor(query.tokens)
        found[f"wanted.{n:05}"] = torch.tensor([query.positions, query.targets])
    return found


@torch.inference_mode()
def behaviour(network: PreTrainedModel, given: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """What a network computes for the input `given`.

    Each sequence gives ``logits.N`` and ``floor.N`` (see `copies`) and ``parting.N`` (see `cache_divergence`). Each
    query gives ``answer.N``, computed in `dtype`: the logits wanted, and below them the log-sum-exp of all logits
    there.
    """
    found = {}
    for name, value in given.items():
        kind, _, number = name.partition(".")
        if kind == "sequence":
            found[f"logits.{number}"], floor = copies(network, value)
            found[f"floor.{number}"] = torch.tensor(floor)
            found[f"parting.{number}"] = torch.tensor(cache_divergence(network, value))
        elif kind == "query":
            positions, targets = given[f"wanted.{number}"]
            with computing_in(dtype, _parts(network)):
                there = logits(network, value, positions)
            found[f"answer.{number}"] = torch.stack(
                [there.gather(1, targets[:, None])[:, 0], there.logsumexp(1)]
            ).contiguous()
    return found


def _parts(network: PreTrainedModel) -> Iterator[nn.Module]:
    """The modules to widen one at a time: the blocks, what stands beside them, and the head."""
    path, blocks = find_blocks(network)
    yield from (child for child in network.get_submodule(path.rpartition(".")[0]).children() if child is not blocks)
    yield from blocks
    yield network.get_output_embeddings()  # type: ignore[no-untyped-call]


@torch.inference_mode()
def copies(network: PreTrainedModel, tokens: Int[Tensor, " position"]) -> tuple[Float[Tensor, "_ vocabulary"], float]:
    """The logits of an aligned copy of the weights, and how far other copies and the weights in place differ from it.

    Products of equal numbers may differ in the last bits with the address of the numbers, or from run to run.
    """
    first, *others = [_of_copy(network, tokens, offset) for offset in COPIES]
    others.append(logits(network, tokens))
    return first, max(float((other - first).abs().max()) for other in others)


def _of_copy(network: PreTrainedModel, tokens: Tensor, offset: int) -> Tensor:
    with copied(network, offset):
        return logits(network, tokens)


@contextmanager
def copied(network: nn.Module, offset: int) -> Iterator[None]:
    """Run every module with a copy of its weights that begins `offset` elements after an aligned address.

    Only one module's copy exists at a time.
    """
    with ExitStack() as hooks:
        for module in network.modules():
            if not module._parameters:
                continue
            kept: dict[str, Tensor] = {}
            hooks.callback(module.register_forward_pre_hook(partial(_place, kept, offset)).remove)
            hooks.callback(module.register_forward_hook(partial(_restore, kept), always_call=True).remove)
        yield


def _place(kept: dict[str, Tensor], offset: int, module: nn.Module, _args: Any) -> None:
    """Give a module copies of its weights. The originals go to `kept`."""
    for name, parameter in module._parameters.items():
        if parameter is not None:
            kept[name] = parameter.data
            parameter.data = _moved(parameter.data, offset)


def _restore(kept: dict[str, Tensor], module: nn.Module, _args: Any, _output: Any) -> None:
    """Give a module its original weights back."""
    for name in list(kept):
        module._parameters[name].data = kept.pop(name)  # type: ignore[union-attr]


def _moved(tensor: Tensor, offset: int) -> Tensor:
    """A copy in new memory."""
    memory = torch.empty(tensor.numel() + offset, dtype=tensor.dtype, device=tensor.device)
    return memory[offset:].view(tensor.shape).copy_(tensor)


@torch.inference_mode()
def digests(network: PreTrainedModel) -> dict[str, str]:
    """A digest of every tensor of the state: dtype, shape and all bits."""
    found = {}
    for name, tensor in network.state_dict().items():
        made = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        made.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        found[name] = made.hexdigest()
    return found


@torch.inference_mode()
def logits(
    network: PreTrainedModel, tokens: Int[Tensor, " position"], positions: Int[Tensor, " wanted"] | None = None
) -> Float[Tensor, "wanted vocabulary"]:
    """The logits at some positions of a sequence, or at all, in float32 on the CPU."""
    found: Tensor = network(input_ids=tokens[None].to(network.device), use_cache=False).logits[0]
    return (found if positions is None else found[positions.to(found.device)]).float().cpu().contiguous()


def cache_divergence(network: PreTrainedModel, tokens: Int[Tensor, " position"], new: int = NEW_TOKENS) -> float:
    """How clearly greedy text with a cache parts from text without. 0 where they are equal.

    It is the gap between the first two tokens that differ, in the scores without a cache, as a share of the largest
    score.
    """
    plain, cached = (_continued(network, tokens, use_cache, new) for use_cache in (False, True))
    for (token, scores), (other, _) in zip(plain, cached, strict=False):
        if token != other:
            return float((scores[token] - scores[other]) / scores[scores.isfinite()].abs().max())
    return 0.0


def _continued(network: PreTrainedModel, tokens: Tensor, use_cache: bool, new: int) -> list[tuple[int, Tensor]]:
    """The new tokens, each with the scores that chose it."""
    row = tokens[None].to(network.device)
    out: Any = network.generate(  # type: ignore[operator]
        row,
        attention_mask=torch.ones_like(row),
        max_new_tokens=new,
        do_sample=False,
        use_cache=use_cache,
        pad_token_id=0,
        return_dict_in_generate=True,
        output_scores=True,
    )
    found = out.sequences[0, len(tokens) :].tolist()
    return [(token, scores[0].float()) for token, scores in zip(found, out.scores, strict=True)]


def main(checkpoint: str, request: str, out: str, threads: str, trust: str, dtype: str) -> None:
    """Load `checkpoint` and write what it computes for the file `request` to `out`.

    Answers are computed in `dtype`. The checkpoint's own code runs where `trust` is 1. The number of threads of the
    asking process gives the same bits.
    """
    torch.set_num_threads(int(threads))
    trusted = trust == "1"
    kind = loading.auto_class(checkpoint, AutoConfig.from_pretrained(checkpoint, trust_remote_code=trusted))
    loaded: Any = kind.from_pretrained(
        checkpoint, dtype="auto", use_safetensors=True, output_loading_info=True, trust_remote_code=trusted
    )
    network, info = loaded
    network.eval()
    said = {name: sorted(map(str, info[name])) for name in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    metadata = {name: json.dumps(content) for name, content in {**said, "tensors": digests(network)}.items()}
    save_file(behaviour(network, load_file(request), getattr(torch, dtype)), Path(out), metadata)
