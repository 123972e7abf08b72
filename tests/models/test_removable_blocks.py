"""Blocks that cannot be taken out are found before a path: by building what would be left, as a reload would."""

from pathlib import Path
from typing import Any

import every_family
import families
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BartConfig,
    DiffLlamaConfig,
    Ernie4_5_MoeConfig,
    FalconH1Config,
    GPT2Config,
    GPTNeoConfig,
    GPTNeoXJapaneseConfig,
    MiniCPM3Config,
    NemotronHConfig,
    PretrainedConfig,
)

from layercliff.errors import ModelError
from layercliff.models import checkpoint
from layercliff.models.model import Model
from layercliff.models.removable_blocks import removable_blocks, unwritable
from layercliff.models.surgery import cut

SHAPE: dict[str, Any] = {
    "vocab_size": families.VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}
MAMBA: dict[str, Any] = {
    "mamba_n_heads": 4,
    "mamba_d_head": 16,
    "mamba_d_ssm": 64,
    "mamba_d_state": 8,
    "mamba_n_groups": 1,
}
NEMOTRON: dict[str, Any] = {name: value for name, value in SHAPE.items() if name != "num_hidden_layers"} | {
    "head_dim": 8, "mamba_num_heads": 4, "mamba_head_dim": 16, "ssm_state_size": 8, "n_groups": 1,
}  # fmt: skip
NEO: dict[str, Any] = {
    "vocab_size": families.VOCABULARY,
    "hidden_size": 32,
    "num_layers": 5,
    "num_heads": 4,
    "max_position_embeddings": 64,
    "window_size": 4,
    "attention_types": [[["global", "local"], 2], [["global"], 1]],
    "bos_token_id": 0,
    "eos_token_id": 1,
}
CONFIGS: dict[str, PretrainedConfig] = {
    "minicpm3": MiniCPM3Config(**{**SHAPE, "num_key_value_heads": 4}, q_lora_rank=16, kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=8, v_head_dim=8),
    "diffllama": DiffLlamaConfig(**SHAPE),
    "gpt2_by_place": GPT2Config(
        vocab_size=families.VOCABULARY, n_embd=32, n_layer=5, n_head=4, n_positions=64, scale_attn_by_inverse_layer_idx=True, bos_token_id=0, eos_token_id=1
    ),
    "gpt_neo": GPTNeoConfig(**NEO),
    "ernie4_5_moe": Ernie4_5_MoeConfig(**SHAPE, moe_num_experts=4, moe_k=2, moe_intermediate_size=24, moe_layer_start_index=2, moe_layer_end_index=3),
    "gpt_neox_japanese": GPTNeoXJapaneseConfig(
        vocab_size=families.VOCABULARY, hidden_size=32, num_hidden_layers=5, num_attention_heads=4, intermediate_multiple_size=2, max_position_embeddings=64
    ),
    "falcon_h1": FalconH1Config(**SHAPE, **MAMBA, ssm_multipliers=[1.0, 0.5, 2.0, 0.25, 1.5]),
    "nemotron_h": NemotronHConfig(**NEMOTRON, layers_block_type=["mamba", "mlp", "attention", "mlp", "mamba"]),
    "recurrent": NemotronHConfig(**NEMOTRON, layers_block_type=["mamba", "mlp", "mamba", "mlp", "mamba"]),
    "bart": BartConfig(
        vocab_size=families.VOCABULARY, d_model=32, decoder_layers=5, encoder_layers=5, decoder_attention_heads=4, encoder_attention_heads=4, decoder_ffn_dim=48,
        encoder_ffn_dim=48, max_position_embeddings=64, is_decoder=True, is_encoder_decoder=False, bos_token_id=0, eos_token_id=1, pad_token_id=2,
    ),
}  # fmt: skip


def model(family: str) -> Model:
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(CONFIGS[family]).eval().float()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    return Model.of(network, families.tokenizer(), family)


@pytest.mark.parametrize("family", ["llama", "gemma3", "smollm3", "qwen3_moe"])
def test_every_block_may_go_where_none_depends_on_its_place(family: str) -> None:
    found = removable_blocks(Model.of(families.network(family), families.tokenizer(), family))
    assert not found.stay
    assert not str(found)


@pytest.mark.parametrize(
    ("family", "stay", "sentence"),
    [
        ("minicpm3", (), ""),
        ("gpt_neo", (), ""),
        ("ernie4_5_moe", (), ""),
        ("falcon_h1", (), ""),
        ("bart", (), ""),
        ("diffllama", (0, 1, 2, 3), (
            "Blocks 0, 1, 2, 3 stay, since a checkpoint without them would be another model: the dense block 1 would "
            "be block 0, with self_attn.lambda_init = 0.2"
        )),
        ("gpt2_by_place", (0, 1, 2, 3), "scale_attn_by_inverse_layer_idx = True scales a block by its position"),
        ("gpt_neox_japanese", (4,), "Block 4 stays, since a checkpoint without it would be another model: the tensor"),
        ("nemotron_h", (2,), "does not generate with a cache"),
    ],
)  # fmt: skip
def test_which_blocks_have_to_stay(family: str, stay: tuple[int, ...], sentence: str) -> None:
    found = removable_blocks(model(family))
    assert (found.unfit, tuple(found.stay)) == (None, stay)
    assert sentence in str(found)


@pytest.mark.parametrize(
    ("family", "kept"),
    [
        ("minicpm3", (0, 2)),
        ("gpt_neo", (1, 2, 4)),
        ("ernie4_5_moe", (1, 3, 4)),
        ("falcon_h1", (1, 4)),
        ("bart", (1, 3)),
    ],
)
@pytest.mark.usefixtures("reloads_here")
def test_what_may_go_can_be_exported(family: str, kept: tuple[int, ...], tmp_path: Path) -> None:
    dense = model(family)
    ids = torch.tensor([[5, 77, 130, 9, 240, 31, 18]])
    with torch.inference_mode():
        *_, (_, last) = dense.anatomy.enter(ids).depths(kept)
        unembedding = dense.anatomy.unembedding
        wanted = unembedding.vocabulary_logits(unembedding.normed(last[0]), 0, families.VOCABULARY)
        cut(dense.network, kept)
        small = Model.of(dense.network, dense.tokenizer, family)
        checkpoint.export(small, tmp_path / "small", [ids[0].tolist()], {})
        reloaded = AutoModelForCausalLM.from_pretrained(tmp_path / "small").eval()
        torch.testing.assert_close(reloaded(input_ids=ids).logits[0], wanted, rtol=1e-4, atol=1e-5)


def test_where_no_block_may_go_it_is_refused() -> None:
    network = families.network("llama")
    network.config.num_kv_shared_layers = 2
    with pytest.raises(ModelError, match="No block of tiny can be taken out: The configuration field num_kv_shared"):
        removable_blocks(Model.of(network, families.tokenizer(), "tiny"))


def test_a_model_that_can_never_be_exported_is_told() -> None:
    """Recurrent blocks alone: this transformers cannot generate with a cache of theirs."""
    found = removable_blocks(model("recurrent"))
    assert not found.stay
    assert str(found) == "No checkpoint of a step can be exported: the model itself does not generate with a cache."


def test_a_network_that_was_cut_is_asked_again() -> None:
    found = model("diffllama")
    assert tuple(removable_blocks(found).stay) == (0, 1, 2, 3)
    cut(found.network, (0, 1))
    assert tuple(removable_blocks(Model.of(found.network, found.tokenizer, "cut")).stay) == (0,)


def test_what_a_configuration_alone_tells() -> None:
    assert "lambda_init" in str(unwritable(AutoModelForCausalLM, CONFIGS["diffllama"], (1, 2)))
    assert unwritable(AutoModelForCausalLM, CONFIGS["diffllama"], (0, 1)) is None
    assert "scale_attn_by_inverse" in str(unwritable(AutoModelForCausalLM, CONFIGS["gpt2_by_place"], (1, 2)))
    assert unwritable(AutoModelForCausalLM, families.CONFIGS["gemma3"](), (1, 4)) is None


def test_the_network_is_left_as_it_was() -> None:
    found = model("diffllama")
    before = {name: (parameter.data_ptr(), parameter.clone()) for name, parameter in found.network.named_parameters()}
    config, indices = found.network.config, [block.self_attn.layer_idx for block in found.anatomy.blocks]
    removable_blocks(found)
    assert found.network.config is config
    assert [block.self_attn.layer_idx for block in found.anatomy.blocks] == indices
    for name, parameter in found.network.named_parameters():
        assert parameter.data_ptr() == before[name][0]
        assert torch.equal(parameter, before[name][1])


def test_a_network_that_is_loaded_as_another_class_is_told() -> None:
    """A wrapper of images and text whose directories are loaded without the part for images."""
    network = every_family.Family("llama4", images=True).network()
    found = removable_blocks(Model.of(network, families.tokenizer(), "wrapped"))
    assert found.unfit == "a directory of it is loaded as Llama4ForCausalLM, not as Llama4ForConditionalGeneration"
    assert not found.stay
