"""All recipes for a pruning."""

from collections.abc import Sequence

from transformers import PretrainedConfig

from layercliff.models import llama_cpp, mergekit
from layercliff.models.recipe import Recipes


def recipes(
    config: PretrainedConfig, base_model: str, kept: Sequence[int], dtype: str, merged: bool = False
) -> Recipes:
    """How mergekit and llama.cpp make the pruned model. Nothing is loaded or run.

    `base_model` is a directory, a GGUF file or a hub id. `config` is its dense configuration. `kept` are dense
    indices. `dtype` is what mergekit writes weights in, such as ``bfloat16``. `merged` says that some blocks are
    merged ones.
    """
    if merged:
        return Recipes(base_model, tuple(kept), mergekit.MERGED, llama_cpp.MERGED)
    return Recipes(
        base_model,
        tuple(kept),
        mergekit.recipe(config, base_model, kept, dtype),
        llama_cpp.recipe(config, base_model, kept),
    )
