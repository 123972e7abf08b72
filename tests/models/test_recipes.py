"""Recipes for other tools: accepted exactly where the tool's result would be the pruned model."""

import shlex
from itertools import pairwise
from typing import Any

import families
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    Cohere2Config,
    CohereConfig,
    DeepseekV2Config,
    Gemma2Config,
    Gemma3Config,
    Gemma3TextConfig,
    GptOssConfig,
    Llama4TextConfig,
    Olmo3Config,
    PretrainedConfig,
    SmolLM3Config,
)

from layercliff.models.mergekit import DEFINED, runs
from layercliff.models.recipes import recipes
from layercliff.models.surgery import sliced

UNIFORM = [
    "llama",
    "llama_tied",
    "mistral",
    "qwen2",
    "qwen3",
    "phi",
    "phi3",
    "gpt2",
    "gpt_neox",
    "falcon",
    "bloom",
    "olmo2",
    "cohere",
    "granite",
    "qwen3_moe",
]


def gemma3(count: int = 12, **settings: Any) -> Gemma3TextConfig:
    config = Gemma3TextConfig(num_hidden_layers=count, head_dim=256, query_pre_attn_scalar=256, **settings)
    config.architectures = ["Gemma3ForCausalLM"]
    return config


@given(st.sets(st.integers(0, 40), min_size=1).map(sorted))
def test_runs_hold_what_is_kept_in_few_pieces(kept: list[int]) -> None:
    found = runs(kept)
    assert [index for start, stop in found for index in range(start, stop)] == kept
    assert all(stop < start for (_, stop), (start, _) in pairwise(found))


@given(st.sets(st.integers(0, 4), min_size=1, max_size=4).map(sorted))
def test_the_files_hold_what_is_kept(kept: list[int]) -> None:
    config = families.CONFIGS["llama"]()
    config.architectures = ["LlamaForCausalLM"]
    found = recipes(config, "owner/name@abc", kept, "bfloat16")
    assert found.mergekit.text is not None
    content = yaml.safe_load(found.mergekit.text)
    assert (content["merge_method"], content["dtype"]) == ("passthrough", "bfloat16")
    sources = [part["sources"] for part in content["slices"]]
    assert all(len(source) == 1 and source[0]["model"] == "owner/name@abc" for source in sources)
    assert [i for source in sources for i in range(*source[0]["layer_range"])] == kept
    assert found.llama_cpp.text is not None
    command = shlex.split(found.llama_cpp.text)
    assert command[:2] == ["llama-quantize", "--prune-layers"]
    assert sorted([*map(int, command[2].split(",")), *kept]) == list(range(5))
    assert command[3:] == ["DENSE.gguf", "PRUNED.gguf", "COPY"]
    assert found.mergekit.note is None


@pytest.mark.parametrize("family", UNIFORM)
@pytest.mark.parametrize("kept", [(0, 1, 3), (2, 4), (0, 1, 2)])
def test_blocks_that_do_not_differ_can_be_chosen_freely(family: str, kept: tuple[int, ...]) -> None:
    found = recipes(families.CONFIGS[family](), "owner/name", kept, "float32")
    assert found.mergekit.reason is found.llama_cpp.reason is None


@pytest.mark.parametrize(
    ("config", "period", "field"),
    [
        (gemma3(), 6, "layer_types"),
        (Gemma2Config(num_hidden_layers=12, head_dim=256, query_pre_attn_scalar=256), 2, "layer_types"),
        (Cohere2Config(num_hidden_layers=12), 4, "layer_types"),
        (GptOssConfig(num_hidden_layers=12), 2, "layer_types"),
        (Llama4TextConfig(num_hidden_layers=12), 4, "layer_types"),
        (SmolLM3Config(num_hidden_layers=12), 4, "no_rope_layers"),
    ],
    ids=lambda value: getattr(value, "model_type", ""),
)
@given(kept=st.sets(st.integers(0, 11), min_size=1, max_size=11).map(sorted))
def test_blocks_that_differ_by_place(config: PretrainedConfig, period: int, field: str, kept: list[int]) -> None:
    """Accepted if and only if each kept block is of the kind that its new place has."""
    same = all(
        (index + 1) % period == 0 if (place + 1) % period == 0 else (index + 1) % period
        for place, index in enumerate(kept)
    )
    found = recipes(config, "owner/name", kept, "bfloat16")
    assert (found.llama_cpp.text is not None) == (found.mergekit.text is not None) == same
    for recipe in (found.mergekit, found.llama_cpp):
        assert (recipe.text is None) == (recipe.reason is not None)
        assert same or field in str(recipe.reason) or "no_rope_layers" in str(recipe.reason)


def test_the_dense_pattern_is_not_what_counts_for_llama_cpp() -> None:
    """A Gemma 3 whose own order is unusual can become a usual one."""
    types = ["sliding_attention"] * 6 + ["full_attention"]
    found = recipes(gemma3(7, layer_types=types), "owner/name", (0, 1, 2, 3, 4, 6), "bfloat16")
    assert found.llama_cpp.text is not None
    assert "block 5 of the merged model, the dense block 6, would be 'sliding_attention'" in str(found.mergekit.reason)


def test_mergekits_note_is_true() -> None:
    """What mergekit does to the configuration is refused by this transformers where the note says so."""
    config = gemma3()
    found = recipes(config, "owner/name", range(6), "bfloat16")
    assert "leaves layer_types" in str(found.mergekit.note)
    config.num_hidden_layers = 6
    with pytest.raises(Exception, match="must be equal to the number of `layer_types`"):
        config.validate()
    config = families.CONFIGS["smollm3"]()
    config.architectures = ["SmolLM3ForCausalLM"]
    assert "SmolLM3ForCausalLM" not in DEFINED
    note = recipes(config, "owner/name", (0, 1, 2), "bfloat16").mergekit.note
    assert "num_hidden_layers = 3 and the first 3 entries of" in str(note)


@pytest.mark.parametrize(
    ("config", "kept", "sentence"),
    [
        (Olmo3Config(num_hidden_layers=8), range(4), "issue 27976"),
        (CohereConfig(num_hidden_layers=64, use_qk_norm=True), range(63), "queries and keys are normed"),
        (DeepseekV2Config(num_hidden_layers=27), range(20), "DeepSeek-V2 projects"),
        (DeepseekV2Config(num_hidden_layers=30, first_k_dense_replace=2), range(1, 29), "first_k_dense_replace"),
        (
            Gemma2Config(
                num_hidden_layers=46, hidden_size=4608, num_attention_heads=32, head_dim=128, query_pre_attn_scalar=144
            ),
            range(44),
            "root of 128 instead of 144",
        ),
        (gemma3(layer_types=["sliding_attention", "full_attention"] * 6), range(4), "goes by a block's place"),
        (families.CONFIGS["llama"](), range(5), "no block is removed"),
    ],
)
def test_what_llama_cpp_cannot_hold(config: PretrainedConfig, kept: range, sentence: str) -> None:
    found = recipes(config, "owner/name", kept, "float32").llama_cpp
    assert found.text is None
    assert sentence in str(found.reason)


def test_unknown_mixtures_are_refused() -> None:
    config = families.CONFIGS["qwen2"]()
    config.layer_types = ["full_attention"] * 3 + ["sliding_attention"] * 2
    found = recipes(config, "owner/name", (0, 1, 2), "float32")
    assert "is not known here" in str(found.llama_cpp.reason)
    config = families.CONFIGS["qwen3_moe"]()
    config.mlp_only_layers = [1]
    assert "mlp_only_layers" in str(recipes(config, "owner/name", (0, 2, 3), "float32").llama_cpp.reason)
    assert "mlp_only_layers" in str(recipes(config, "owner/name", (0, 2, 3), "float32").mergekit.reason)
    assert recipes(config, "owner/name", (0, 1, 3), "float32").mergekit.text is not None


def test_wrappers_and_files() -> None:
    found = recipes(Gemma3Config(), "owner/name", range(6), "bfloat16")
    assert "wraps its language model" in str(found.mergekit.reason)
    assert found.llama_cpp.text is not None
    found = recipes(families.CONFIGS["llama"](), "/my models/a.gguf", (0, 1), "bfloat16")
    assert "no GGUF" in str(found.mergekit.reason)
    assert shlex.split(str(found.llama_cpp.text))[3] == "/my models/a.gguf"
    found = recipes(families.CONFIGS["llama"](), "/models/a+b@c", (0, 1), "bfloat16")
    assert yaml.safe_load(str(found.mergekit.text))["slices"][0]["sources"][0]["model"] == {
        "model": {"path": "/models/a+b@c"}
    }


@pytest.mark.parametrize(("field", "value"), [("num_kv_shared_layers", 2), ("moe_layer_freq", 2)])
def test_what_no_configuration_can_express(field: str, value: int) -> None:
    config = families.CONFIGS["llama"]()
    setattr(config, field, value)
    found = recipes(config, "owner/name", (1, 2), "float32")
    for recipe in (found.mergekit, found.llama_cpp):
        assert field in str(recipe.reason)


def test_as_text() -> None:
    text = str(recipes(gemma3(), "owner/name", range(6), "bfloat16"))
    assert text.startswith(
        "# mergekit\nslices:\n  - sources:\n      - model: owner/name\n        layer_range: [0, 6]\n"
    )
    assert "\n# llama.cpp\nllama-quantize --prune-layers 6,7,8,9,10,11 DENSE.gguf PRUNED.gguf COPY\n" in text


def test_sliced_is_what_an_accepted_merge_gives() -> None:
    """The oracle of mergekit's part: its configuration, with lists cut to length, is the pruned model's."""
    for family in families.CONFIGS:
        config = families.CONFIGS[family]()
        for kept in ((0, 1, 2), (0, 1, 4), (2, 3), (0, 2, 3)):
            merged = config.to_dict() | {"num_hidden_layers": len(kept)}
            for name, value in merged.items():
                if isinstance(value, list) and len(value) == families.N_LAYERS:
                    merged[name] = value[: len(kept)]
            wanted = sliced(config, kept).to_dict()
            wrong = any(merged[name] != wanted[name] for name in ("layer_types", "no_rope_layers") if name in wanted)
            assert (recipes(config, "owner/name", kept, "float32").mergekit.text is None) == wrong
