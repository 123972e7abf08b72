"""A cut model computes what its kept blocks compute, with and without a cache, and comes back the same from disk."""

from pathlib import Path

import families
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from layercliff.errors import ModelError
from layercliff.models.anatomy import dissect
from layercliff.models.surgery import cut, pruned, sliced

IDS = torch.tensor([[5, 77, 130, 9, 240, 31, 18, 200]])
KEPT = (1, 2, 4)


@torch.inference_mode()
def expected(family: str) -> torch.Tensor:
    anatomy = dissect(families.network(family))
    *_, (_, last) = anatomy.enter(IDS).depths(KEPT)
    return anatomy.unembedding.vocabulary_logits(anatomy.unembedding.normed(last[0]), 0, families.VOCABULARY)


@torch.inference_mode()
def test_round_trip(family: str, tmp_path: Path) -> None:
    network = families.network(family)
    cut(network, KEPT)
    own = network(input_ids=IDS).logits
    torch.testing.assert_close(own[0], expected(family), rtol=1e-4, atol=1e-5)
    network.save_pretrained(tmp_path)
    reloaded, info = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert torch.equal(reloaded.eval()(input_ids=IDS).logits, own)
    for model in (network, reloaded):
        cached = model.generate(IDS, max_new_tokens=6, do_sample=False, use_cache=True, pad_token_id=2)
        plain = model.generate(IDS, max_new_tokens=6, do_sample=False, use_cache=False, pad_token_id=2)
        assert torch.equal(cached, plain)


def test_the_original_configuration_is_left_alone(family: str) -> None:
    network = families.network(family)
    config, before = network.config, network.config.to_dict()
    cut(network, KEPT)
    assert config.to_dict() == before
    assert network.config is not config


def test_per_layer_fields_are_sliced_by_dense_index() -> None:
    gemma = sliced(families.CONFIGS["gemma3"](), KEPT)
    assert gemma.layer_types == ["sliding_attention", "full_attention", "full_attention"]
    smol = sliced(families.CONFIGS["smollm3"](), KEPT)
    assert smol.no_rope_layers == [1, 1, 1]
    assert sliced(families.CONFIGS["smollm3"](), (0, 3)).no_rope_layers == [1, 0]
    assert sliced(families.CONFIGS["gpt2"](), KEPT).n_layer == 3


@torch.inference_mode()
def test_experts_in_every_second_block(tmp_path: Path) -> None:
    """A period by position becomes a list of the blocks without experts."""
    config = families.CONFIGS["qwen3_moe"]()
    config.decoder_sparse_step = 2
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(config).eval()
    anatomy = dissect(network)
    *_, (_, last) = anatomy.enter(IDS).depths(KEPT)
    wanted = anatomy.unembedding.vocabulary_logits(anatomy.unembedding.normed(last[0]), 0, families.VOCABULARY)
    cut(network, KEPT)
    network.save_pretrained(tmp_path)
    reloaded, info = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    torch.testing.assert_close(reloaded.eval()(input_ids=IDS).logits[0], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("field", "value"), [("num_kv_shared_layers", 2), ("moe_layer_freq", 2), ("attn_layer_period", 4)]
)
def test_what_cannot_be_expressed_is_refused_and_nothing_changed(field: str, value: int) -> None:
    network = families.network("llama")
    setattr(network.config, field, value)
    with pytest.raises(ModelError, match=f"field {field} = {value}"):
        cut(network, KEPT)
    assert len(network.model.layers) == families.N_LAYERS


def test_index_lists_and_counts_follow() -> None:
    config = families.CONFIGS["llama"]()
    config.mlp_only_layers, config.first_k_dense_replace = [0, 2, 4], 3
    found = sliced(config, KEPT)
    assert (found.mlp_only_layers, found.first_k_dense_replace) == ([1, 2], 2)


def attributes(network: PreTrainedModel) -> list[tuple[object, ...]]:
    """The identity of every module with its configuration object and its index."""
    return [
        (name, id(module), id(module.__dict__.get("config")), module.__dict__.get("layer_idx"))
        for name, module in network.named_modules()
    ]


@torch.inference_mode()
def test_pruned_for_a_while(family: str) -> None:
    """Inside it is the cut model, cached generation included; afterwards nothing tells that it was."""
    network = families.network(family)
    other = families.network(family)
    cut(other, KEPT)
    before, logits, config = attributes(network), network(input_ids=IDS).logits, network.config.to_dict()
    with pruned(network, KEPT):
        assert torch.equal(network(input_ids=IDS).logits, other(input_ids=IDS).logits)
        assert network.config.to_dict() == other.config.to_dict()
        cached = network.generate(IDS, max_new_tokens=6, do_sample=False, use_cache=True, pad_token_id=2)
        plain = other.generate(IDS, max_new_tokens=6, do_sample=False, use_cache=False, pad_token_id=2)
        assert torch.equal(cached, plain)
    assert attributes(network) == before
    assert network.config.to_dict() == config
    assert torch.equal(network(input_ids=IDS).logits, logits)


def test_pruned_ends_when_something_is_raised_inside(family: str) -> None:
    network = families.network(family)
    before = attributes(network)
    with pytest.raises(KeyboardInterrupt), pruned(network, KEPT):
        raise KeyboardInterrupt
    assert attributes(network) == before


def test_pruned_changes_nothing_where_it_cannot_be_expressed() -> None:
    network = families.network("llama")
    network.config.num_kv_shared_layers = 2
    before = attributes(network)
    with pytest.raises(ModelError, match="num_kv_shared_layers"), pruned(network, KEPT):
        pass
    assert attributes(network) == before


def test_the_indices_of_mixtures_of_experts_follow() -> None:
    config = families.CONFIGS["llama"]()
    config.moe_layers = [1, 3]
    assert sliced(config, KEPT).moe_layers == [0]
