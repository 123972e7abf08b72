"""What a checkpoint does, found out in a process of its own: ``python -m layercliff.models.proof CHECKPOINT PROBE OUT THREADS TRUST``.

PROBE is a safetensors file of sequences and queries, OUT receives what the checkpoint makes of them, and in its metadata what loading said of
missing and unexpected tensors. TRUST is 1 where code that comes with the checkpoint may be run, else 0.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

NEW_TOKENS = 8


@dataclass(frozen=True)
class Query:
    """A sequence, and tokens whose logits are wanted: of ``targets[j]`` at ``positions[j]``, which may count from the end."""

    tokens: Sequence[int]
    positions: Sequence[int]
    targets: Sequence[int]


def probe(sequences: Sequence[Sequence[int]], queries: Sequence[Query]) -> dict[str, Tensor]:
    """Both as tensors: ``sequence.N``, ``query.N`` and ``wanted.N``, positions above targets."""
    found = {f"sequence.{n:05}": torch.tensor(tokens) for n, tokens in enumerate(sequences)}
    for n, query in enumerate(queries):
        found[f"query.{n:05}"] = torch.tensor(query.tokens)
        found[f"wanted.{n:05}"] = torch.tensor([query.positions, query.targets])
    return found


@torch.inference_mode()
def behaviour(network: PreTrainedModel, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of each sequence ``logits.N``, at every position, and ``parting.N`` (see `parting`); of each query ``answer.N``: the logits wanted, and below each
    the log of the sum of exponentials of all logits there."""
    found = {}
    for name, value in given.items():
        kind, _, number = name.partition(".")
        if kind == "sequence":
            found[f"logits.{number}"] = logits(network, value)
            found[f"parting.{number}"] = torch.tensor(parting(network, value))
        elif kind == "query":
            positions, targets = given[f"wanted.{number}"]
            there = logits(network, value, positions)
            found[f"answer.{number}"] = torch.stack(
                [there.gather(1, targets[:, None])[:, 0], there.logsumexp(1)]
            ).contiguous()
    return found


@torch.inference_mode()
def logits(
    network: PreTrainedModel, tokens: Int[Tensor, " position"], positions: Int[Tensor, " wanted"] | None = None
) -> Float[Tensor, "wanted vocabulary"]:
    """The logits at some positions of a sequence, or at all, in float32 on the CPU."""
    found: Tensor = network(input_ids=tokens[None].to(network.device), use_cache=False).logits[0]
    return (found if positions is None else found[positions.to(found.device)]).float().cpu().contiguous()


def parting(network: PreTrainedModel, tokens: Int[Tensor, " position"]) -> float:
    """How clearly greedy continuations with and without a cache part: 0 where they are the same, else how far apart the first two tokens that
    differ are in the scores without the cache, as a share of the largest of these."""
    plain, cached = (_continued(network, tokens, use_cache) for use_cache in (False, True))
    for (token, scores), (other, _) in zip(plain, cached, strict=False):
        if token != other:
            return float((scores[token] - scores[other]) / scores[scores.isfinite()].abs().max())
    return 0.0


def _continued(network: PreTrainedModel, tokens: Tensor, use_cache: bool) -> list[tuple[int, Tensor]]:
    """The new tokens with the scores that each was chosen by."""
    row = tokens[None].to(network.device)
    out: Any = network.generate(  # type: ignore[operator]
        row, attention_mask=torch.ones_like(row), max_new_tokens=NEW_TOKENS, do_sample=False, use_cache=use_cache, pad_token_id=0,
        return_dict_in_generate=True, output_scores=True,
    )  # fmt: skip
    new = out.sequences[0, len(tokens) :].tolist()
    return [(token, scores[0].float()) for token, scores in zip(new, out.scores, strict=True)]


def main(checkpoint: str, probe: str, out: str, threads: str, trust: str) -> None:
    """Load `checkpoint` and write what it does with `probe` to `out`; as many threads as the asking process give the same bits."""
    torch.set_num_threads(int(threads))
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        checkpoint, dtype="auto", use_safetensors=True, output_loading_info=True, trust_remote_code=trust == "1"
    )
    network, info = loaded
    metadata = {
        name: json.dumps(sorted(map(str, info[name])))
        for name in ("missing_keys", "unexpected_keys", "mismatched_keys")
    }
    save_file(behaviour(network.eval(), load_file(probe)), Path(out), metadata)


if __name__ == "__main__":
    main(*sys.argv[1:])
