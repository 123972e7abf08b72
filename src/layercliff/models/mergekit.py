"""A pruning as a mergekit configuration, or why mergekit would make another model.

Read in mergekit's source (arcee-ai/mergekit, commit a6e4028 of June 2026). ``slices`` of ``sources`` with a half-open
``layer_range`` and ``merge_method: passthrough`` copy tensors and renumber the blocks (``plan.py``). ``merge.py``
copies the base model's configuration and sets the number of blocks, nothing else. It ends in ``save_pretrained``. The
architecture's definition in ``_data/architectures`` names the key for that number. Architectures without a definition
are inferred from the tensors, without such a key (``architecture/auto.py``). Slices are grouped by the model that
they come from (``io/tasks.py``, ``GatherTensors``).
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import transformers
import yaml
from huggingface_hub.errors import StrictDataclassError
from transformers import PretrainedConfig

from layercliff.errors import ModelError
from layercliff.models import quirks
from layercliff.models.anatomy import text_config
from layercliff.models.per_block_config import lists, per_block
from layercliff.models.recipe import Recipe
from layercliff.models.surgery import sliced

DEFINED = frozenset(
    {
        "ApertusForCausalLM", "ArceeForCausalLM", "BaichuanForCausalLM", "CohereForCausalLM", "Cohere2ForCausalLM",
        "ExaoneForCausalLM", "FalconForCausalLM", "GemmaForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM",
        "Glm4ForCausalLM", "Glm4MoeForCausalLM", "GPTNeoXForCausalLM", "GPT2LMHeadModel", "GPTBigCodeForCausalLM",
        "GraniteForCausalLM", "GraniteMoeHybridForCausalLM", "InternLM2ForCausalLM", "JAISLMHeadModel",
        "Lfm2ForCausalLM", "LlamaForCausalLM", "MambaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM",
        "Olmo2ForCausalLM", "PhiForCausalLM", "Phi3ForCausalLM", "Phi3SmallForCausalLM", "QWenLMHeadModel",
        "Qwen2ForCausalLM", "Qwen3ForCausalLM", "Qwen3MoeForCausalLM", "SolarForCausalLM", "StableLmForCausalLM",
        "Starcoder2ForCausalLM",
    }
)  # fmt: skip
"""Language models with a definition in mergekit that says where the number of blocks stands."""

MERGED = Recipe(
    "mergekit",
    None,
    "mergekit mixes blocks of different models, and takes no two blocks of the same one for a slice: write the "
    "checkpoint with `layercliff export --to`.",
)


def recipe(config: PretrainedConfig, base_model: str, kept: Sequence[int], dtype: str) -> Recipe:
    """The YAML for ``mergekit-yaml FILE DIRECTORY --copy-tokenizer``.

    `base_model` is a directory or ``owner/name``, optionally with ``@revision``.
    """
    name, count = "mergekit", quirks.block_count(text_config(config))
    if base_model.endswith(".gguf"):
        return Recipe(name, None, "mergekit reads no GGUF files: write the checkpoint with `layercliff export --to`.")
    if (reason := _wrong(config, kept)) is not None:
        return Recipe(name, None, reason)
    model: Any = base_model
    if Path(base_model).is_absolute() and ("@" in base_model or "+" in base_model):
        model = {"model": {"path": base_model}}  # in a plain name these are signs of a revision and of an adapter
    slices = [{"sources": [{"model": model, "layer_range": list(run)}]} for run in runs(kept)]
    content = {"slices": slices, "merge_method": "passthrough", "dtype": dtype}
    text = yaml.dump(content, Dumper=_Indented, sort_keys=False, allow_unicode=True, width=10_000)
    return Recipe(name, text, note=_note(config, len(kept)) if len(kept) < count else None)


def runs(kept: Sequence[int]) -> list[tuple[int, int]]:
    """The indices `kept`, in their order, as half-open ranges. Neighbours share one.

    >>> runs([0, 1, 4, 5, 7])
    [(0, 2), (4, 6), (7, 8)]
    """
    found: list[tuple[int, int]] = []
    for index in kept:
        if found and found[-1][1] == index:
            found[-1] = (found[-1][0], index + 1)
        else:
            found.append((index, index + 1))
    return found


def _wrong(config: PretrainedConfig, kept: Sequence[int]) -> str | None:
    """Why the merged model would not be the pruned one, in a sentence."""
    if text_config(config) is not config:
        return (
            f"{config.model_type} wraps its language model, whose blocks a mergekit configuration of one model "
            "cannot choose alone: write the checkpoint with `layercliff export --to`."
        )
    try:
        sliced(config, kept)
    except ModelError as error:
        return str(error)
    for name, values in per_block(config).items():
        for place, index in enumerate(kept):
            if values[place] != values[index]:
                return (
                    f"mergekit would leave {name} as the dense model has it, so that block {place} of the merged "
                    f"model, the dense block {index}, would be "
                    f"{values[place]!r} instead of {values[index]!r}: write the checkpoint with `layercliff export "
                    "--to`."
                )
    return None


def _note(config: PretrainedConfig, count: int) -> str | None:
    """What mergekit's result still needs, or None."""
    architecture = (config.architectures or ["this architecture"])[0]
    named = " and ".join(lists(config))
    if architecture not in DEFINED:
        also = f" and the first {count} entries of {named}" if named else ""
        return (
            f"mergekit has no definition of {architecture} and infers one without the number of blocks: give the "
            f"config.json it writes num_hidden_layers = {count}{also}."
        )
    tried = copy.deepcopy(config)
    tried.num_hidden_layers = count
    try:
        getattr(tried, "validate", lambda: None)()  # a check that not every transformers has
    except (StrictDataclassError, ValueError):
        return (
            f"mergekit leaves {named} with the dense model's entries, more than blocks, and transformers "
            f"{transformers.__version__} refuses to write that: where it does, write the checkpoint with `layercliff "
            "export --to`."
        )
    return None


class _Indented(yaml.SafeDumper):
    """Indented lists, and ranges on one line, as in mergekit's examples."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _list(dumper: yaml.SafeDumper, data: list[Any]) -> yaml.Node:
    flow = all(isinstance(value, int) for value in data)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=flow)


_Indented.add_representer(list, _list)
