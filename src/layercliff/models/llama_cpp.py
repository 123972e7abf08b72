"""A pruning as a llama.cpp command, or why its files cannot hold it.

Read in llama.cpp's source (ggml-org/llama.cpp, 2026; pull request 13037). The command is ``llama-quantize
--prune-layers L0,L1,... IN OUT TYPE``, with block indices from 0. It drops tensors, renumbers the other blocks and
sets ``block_count`` (``tools/quantize/quantize.cpp``, ``src/llama-quant.cpp``). The type COPY does not quantise. No
other field changes, so that:

* A constant that follows from a block's position takes its value at the new position (``src/models/*.cpp``). In
``set_swa_pattern(n)``, the last of n blocks attends to everything. In ``n_no_rope_layer_step``, every n-th block has
no position embedding.
* A list with an entry per block keeps its length, and the file does not load (issue 27976).
* A model recognised by its number of blocks is no longer recognised: Command R+, DeepSeek-V2-Lite, the largest Gemma
  2
and 3.
"""

import math
import shlex
from collections.abc import Sequence

from transformers import PretrainedConfig

from layercliff.errors import ModelError
from layercliff.models import quirks
from layercliff.models.anatomy import text_config
from layercliff.models.per_block_config import mixed, per_block
from layercliff.models.recipe import Recipe
from layercliff.models.surgery import sliced

WINDOWS = {"gemma2": 2, "gemma3_text": 6, "cohere2": 4, "gpt_oss": 2, "llama4_text": 4}  # every n-th attends to all
NO_ROPE = {"smollm3": 4, "llama4_text": 4}  # every n-th has no position embedding
LISTED = ("olmo3", "exaone4", "lfm2", "gemma3n_text")  # blocks that differ are told apart by a list in the file
LARGEST = {"gemma2": 46, "gemma3_text": 62}  # so many blocks have another attention scale
LITE = (26, 27)  # so many blocks make a DeepSeek-V2 a Lite
PLUS = 64  # so many blocks make a Command R a Command R+

MERGED = Recipe(
    "llama.cpp",
    None,
    "llama-quantize takes blocks out and merges none: write the checkpoint with `layercliff export --to` and convert "
    "that.",
)


def recipe(config: PretrainedConfig, base_model: str, kept: Sequence[int]) -> Recipe:
    """The command that prunes a GGUF file of the dense model, named by `base_model` where that is one."""
    removed = sorted(set(range(quirks.block_count(text_config(config)))) - set(kept))
    if not removed:
        return Recipe("llama.cpp", None, "no block is removed, so that the dense model's own file is it.")
    if (reason := _wrong(config, tuple(kept))) is not None:
        return Recipe("llama.cpp", None, reason)
    given = base_model if base_model.endswith(".gguf") else "DENSE.gguf"
    file = shlex.quote(given)
    command = f"llama-quantize --prune-layers {','.join(map(str, removed))} {file} PRUNED.gguf COPY"
    made = (
        ""
        if given == base_model
        else "DENSE.gguf is what convert_hf_to_gguf.py, if it knows the architecture, makes of the dense model; "
    )
    return Recipe(
        "llama.cpp", command, note=f"{made}with a type (Q4_K_M) in the place of COPY it is quantised as well."
    )


def _wrong(config: PretrainedConfig, kept: tuple[int, ...]) -> str | None:
    """Why the file would not hold the pruned model, in a sentence."""
    inner = text_config(config)
    try:
        sliced(config, kept)
    except ModelError as error:
        return str(error)
    kind, said = inner.model_type, per_block(config)
    if kind == "apertus" or (kind in LISTED and any(mixed(values) for values in said.values())):
        return (
            f"a file of {kind} holds a list with an entry per block, which --prune-layers does not shorten "
            "(llama.cpp issue 27976): it would not load."
        )
    for name, values in said.items():
        derived = _by_position(inner, name, len(kept))
        if derived is None and mixed(values):
            return (
                f"the blocks of this model differ in {name}, and how llama.cpp lays that out for {kind} is not known "
                "here."
            )
        for place, index in enumerate(kept):
            if derived is not None and derived[place] != values[index]:
                return (
                    f"llama.cpp goes by a block's place: the dense block {index}, with {name} = {values[index]!r}, "
                    f"would come to place {place}, where it takes {derived[place]!r}."
                )
    return _by_count(inner, len(kept))


def _by_position(config: PretrainedConfig, name: str, count: int) -> tuple[object, ...] | None:
    """The value of a field, block by block, as llama.cpp derives it for `count` blocks. None where it has no rule."""
    if config.model_type == "llama4_text" and not mixed(tuple(config.layer_types)) and name != "moe_layers":
        return None  # converted with windows switched off
    if name == "layer_types" and (period := WINDOWS.get(config.model_type)):
        other = "chunked_attention" if config.model_type == "llama4_text" else "sliding_attention"
        return tuple("full_attention" if (place + 1) % period == 0 else other for place in range(count))
    if name == "no_rope_layers" and (period := NO_ROPE.get(config.model_type)):
        return tuple(int((place + 1) % period != 0) for place in range(count))
    if name == "moe_layers" and (period := getattr(config, "interleave_moe_layer_step", 0)):
        return tuple((place + 1) % period == 0 for place in range(count))
    if name == "first_k_dense_replace":
        return tuple(place < config.first_k_dense_replace for place in range(count))
    return None


def _by_count(config: PretrainedConfig, count: int) -> str | None:
    """What llama.cpp would no longer recognise in a model of `count` blocks, in a sentence, or None."""
    kind, dense = config.model_type, config.num_hidden_layers
    told = f"llama.cpp tells by the number of blocks ({dense}) "
    if kind == "cohere" and getattr(config, "use_qk_norm", False) and count < PLUS:
        return f"{told}that queries and keys are normed, which it would not with {count}."
    if kind == "deepseek_v2" and (dense in LITE) != (count in LITE):
        return f"{told}how DeepSeek-V2 projects its queries, and would be wrong with {count}."
    if kind in LARGEST:
        largest = count == LARGEST[kind]
        taken = config.hidden_size // config.num_attention_heads if largest else config.head_dim
        if not math.isclose(taken, config.query_pre_attn_scalar):
            return (
                f"{told}how attention is scaled: with {count} it would divide by the root of {taken} instead of "
                f"{config.query_pre_attn_scalar:g}."
            )
    return None
