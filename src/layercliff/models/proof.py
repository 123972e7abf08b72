"""What a checkpoint does, found out in a process of its own: ``python -m layercliff.models.proof CHECKPOINT PROBE OUT THREADS``.

PROBE is a safetensors file of token ids, one tensor per sequence; OUT receives each sequence's logits and greedy continuations with
and without a cache, and what loading said of missing and unexpected tensors in its metadata.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

NEW_TOKENS = 8


@torch.inference_mode()
def behaviour(network: PreTrainedModel, probe: Mapping[str, Int[Tensor, " position"]]) -> dict[str, Tensor]:
    """Of each sequence: the logits at every position, and the greedy continuation with and without a cache."""
    found = {}
    for name, ids in probe.items():
        row = ids[None].to(network.device)
        logits: Float[Tensor, "position vocabulary"] = network(input_ids=row, use_cache=False).logits[0]
        found[f"{name}.logits"] = logits.float().cpu().contiguous()
        for kind, cached in (("cached", True), ("plain", False)):
            found[f"{name}.{kind}"] = _greedy(network, row, cached).cpu().contiguous()
    return found


def _greedy(network: PreTrainedModel, row: Int[Tensor, "one position"], cached: bool) -> Int[Tensor, " longer"]:
    mask = torch.ones_like(row)
    out: Tensor = network.generate(  # type: ignore[operator]
        row, attention_mask=mask, max_new_tokens=NEW_TOKENS, do_sample=False, use_cache=cached, pad_token_id=0
    )
    return out[0]


def main(checkpoint: str, probe: str, out: str, threads: str) -> None:
    """Load `checkpoint` and write what it does with `probe` to `out`; as many threads as the asking process give the same bits."""
    torch.set_num_threads(int(threads))
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        checkpoint, dtype="auto", use_safetensors=True, output_loading_info=True
    )
    network, info = loaded
    metadata = {
        name: json.dumps(sorted(map(str, info[name])))
        for name in ("missing_keys", "unexpected_keys", "mismatched_keys")
    }
    save_file(behaviour(network.eval(), load_file(probe)), Path(out), metadata)


if __name__ == "__main__":
    main(*sys.argv[1:])
