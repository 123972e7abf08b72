"""GGUF files are dequantised when they are loaded, and refused where transformers would read them in part."""

import json
from collections.abc import Callable
from pathlib import Path

import families
import numpy as np
import pytest
import torch
from gguf import GGUFWriter
from transformers import AutoModelForCausalLM, PreTrainedModel

from layercliff.errors import ModelError
from layercliff.models import gguf, loading

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
WHOLE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
Change = Callable[[GGUFWriter], None]


def written(file: Path, leave_out: str = "none", blocks: int = 5, change: Change = lambda _: None) -> PreTrainedModel:
    """A tiny Qwen2 as a GGUF file, without the tensors whose names begin with `leave_out`."""
    network = families.network("qwen2")
    config, words = network.config, families.tokenizer()
    writer = GGUFWriter(file, "qwen2")
    writer.add_block_count(blocks)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_tokenizer_model("gpt2")
    tokens = words.convert_ids_to_tokens(range(len(words)))
    tokens += [f"<unused{number}>" for number in range(config.vocab_size - len(tokens))]
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in words.all_special_tokens else 1 for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in _merges(words)])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    change(writer)
    for name, tensor in network.state_dict().items():
        _, _, number, part = ("", "", "", "") if name in WHOLE else name.split(".", 3)
        stem, _, kind = part.rpartition(".")
        known = WHOLE.get(name) or f"blk.{number}.{NAMES[stem]}.{kind}"
        if not known.startswith(leave_out):
            writer.add_tensor(known, tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return network


def _merges(words: object) -> list[list[str]]:
    return json.loads(words.backend_tokenizer.to_str())["model"]["merges"]  # type: ignore[attr-defined,no-any-return]


def test_weights_become_an_ordinary_checkpoint(tmp_path: Path) -> None:
    """transformers would keep them packed by default, which cannot be written."""
    network = written(tmp_path / "a.gguf")
    gguf.convert(tmp_path / "a.gguf", tmp_path / "plain")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "plain")
    ids = torch.tensor([[5, 77, 130]])
    assert torch.equal(again.eval()(input_ids=ids).logits, network(input_ids=ids).logits)
    model = loading.load(str(tmp_path / "a.gguf"))
    assert model.tokenizer("The capital").input_ids == families.tokenizer()("The capital").input_ids


def test_a_file_without_a_block_is_refused(tmp_path: Path) -> None:
    """transformers would fill it with random numbers."""
    written(tmp_path / "a.gguf", leave_out="blk.4.")
    with pytest.raises(ModelError, match=r"lacks 12 of the model's tensors \(model\.layers\.4\."):
        loading.load(str(tmp_path / "a.gguf"))


def test_blocks_beyond_the_count_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "a.gguf", blocks=3)
    with pytest.raises(ModelError, match="holds 5 blocks and says that it has 3"):
        loading.load(str(tmp_path / "a.gguf"))


def test_one_of_several_files_is_refused_by_name_and_by_content(tmp_path: Path) -> None:
    written(tmp_path / "a-00001-of-00003.gguf")
    with pytest.raises(
        ModelError, match=r"one of 3 files .* `llama-gguf-split --merge a-00001-of-00003\.gguf a\.gguf`"
    ):
        loading.load(str(tmp_path / "a-00001-of-00003.gguf"))
    written(tmp_path / "b.gguf", change=lambda writer: writer.add_uint16("split.count", 3))
    with pytest.raises(ModelError, match="one of 3 files"):
        loading.load(str(tmp_path / "b.gguf"))


def test_scaled_positions_are_refused(tmp_path: Path) -> None:
    """Llama 3.1 and others carry them in a tensor, others in the header; transformers reads neither."""
    scaled = np.full(4, 8, np.float32)
    written(tmp_path / "a.gguf", change=lambda writer: writer.add_tensor("rope_freqs.weight", scaled))
    with pytest.raises(ModelError, match=r"scales its positions \(the tensor rope_freqs\.weight\)"):
        loading.load(str(tmp_path / "a.gguf"))
    written(tmp_path / "b.gguf", change=lambda writer: writer.add_string("qwen2.rope.scaling.type", "yarn"))
    with pytest.raises(ModelError, match=r"rope\.scaling\.type = yarn"):
        loading.load(str(tmp_path / "b.gguf"))


@pytest.mark.parametrize("length", [4, 20, 700, 20_000, -40])
def test_a_file_that_is_cut_off_is_one_sentence(tmp_path: Path, length: int) -> None:
    written(tmp_path / "whole.gguf")
    (tmp_path / "a.gguf").write_bytes((tmp_path / "whole.gguf").read_bytes()[:length])
    with pytest.raises(ModelError, match=r"a\.gguf cannot be read .*: it is cut off or damaged; download it again\.$"):
        loading.load(str(tmp_path / "a.gguf"))


def test_a_damaged_conversion_is_made_again(tmp_path: Path) -> None:
    written(tmp_path / "a.gguf")
    location = Path(gguf.checkpoint(tmp_path / "a.gguf", lambda *_: None))
    weights = location / "model.safetensors"
    whole = weights.read_bytes()
    assert weights.stat().st_mode == (location / "config.json").stat().st_mode  # not for the owner alone
    weights.write_bytes(whole[:-100])
    loading.load(str(tmp_path / "a.gguf"))
    assert weights.read_bytes() == whole
    (location / "tokenizer.json").write_bytes((location / "tokenizer.json").read_bytes()[:500])
    loading.load(str(tmp_path / "a.gguf"))
