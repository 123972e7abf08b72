"""Every family's parts are found, and what is read from them is what the model computes."""

import copy

import families
import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertGenerationConfig,
    BertGenerationDecoder,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PreTrainedModel,
    SiglipVisionConfig,
    T5Config,
    T5ForConditionalGeneration,
)

from layercliff.errors import ModelError
from layercliff.models.anatomy import dissect, text_config

IDS = torch.tensor([[5, 77, 130, 9, 240, 31, 18, 200]])


@torch.inference_mode()
def states(network: PreTrainedModel) -> dict[int, torch.Tensor]:
    return dict(dissect(network).enter(IDS).depths())


def selected(network: PreTrainedModel, kept: tuple[int, ...]) -> PreTrainedModel:
    """The model with only the blocks `kept`, made the obvious way."""
    short = copy.deepcopy(network)
    path = dissect(short).blocks_path
    parent = short.get_submodule(path.rpartition(".")[0])
    blocks = short.get_submodule(path)
    setattr(parent, path.rpartition(".")[2], nn.ModuleList([blocks[i] for i in kept]))
    config = text_config(short.config)
    config.num_hidden_layers = len(kept)
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[i] for i in kept]
    return short


def test_last_depth_gives_the_models_own_logits(family: str) -> None:
    network = families.network(family)
    anatomy = dissect(network)
    normed = anatomy.unembedding.normed(states(network)[families.N_LAYERS][0])
    with torch.inference_mode():
        own = network(input_ids=IDS, use_cache=False).logits[0]
    torch.testing.assert_close(
        anatomy.unembedding.vocabulary_logits(normed, 0, families.VOCABULARY), own, rtol=1e-4, atol=1e-5
    )


def test_each_depth_is_the_model_with_later_blocks_cut_off(family: str) -> None:
    network = families.network(family)
    anatomy, found = dissect(network), states(network)
    for depth in range(1, families.N_LAYERS):
        with torch.inference_mode():
            expected = selected(network, tuple(range(depth)))(input_ids=IDS, use_cache=False).logits[0]
        normed = anatomy.unembedding.normed(found[depth][0])
        torch.testing.assert_close(
            anatomy.unembedding.vocabulary_logits(normed, 0, families.VOCABULARY), expected, rtol=1e-4, atol=1e-5
        )


def test_last_depth_is_not_normed_twice() -> None:
    """transformers' hidden_states[-1] has been through the final norm; depth L has not."""
    network = families.network("llama")
    with torch.inference_mode():
        theirs = network(input_ids=IDS, output_hidden_states=True).hidden_states
    ours = states(network)
    torch.testing.assert_close(ours[0], theirs[0])
    torch.testing.assert_close(ours[families.N_LAYERS - 1], theirs[families.N_LAYERS - 1])
    assert (ours[families.N_LAYERS] - theirs[families.N_LAYERS]).abs().max() > 0.1


def traces(network: PreTrainedModel) -> int:
    """Hooks and replaced forwards anywhere in a network."""
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + ("forward" in m.__dict__) for m in network.modules())


def test_nothing_stays_behind(family: str) -> None:
    network = families.network(family)
    before = traces(network)
    dissect(network).enter(IDS)
    assert traces(network) == before


def test_nothing_stays_behind_after_an_exception(family: str) -> None:
    network = families.network(family)
    anatomy, before = dissect(network), traces(network)
    with pytest.raises(IndexError):
        anatomy.enter(torch.tensor([[10**6]]))
    assert traces(network) == before
    with torch.inference_mode():
        network(input_ids=IDS)


def test_a_forward_of_the_users_own_is_put_back() -> None:
    """Offloading libraries put their own forward on a block."""
    network = families.network("llama")
    block = network.model.layers[1]
    block.forward = own = block.forward
    dissect(network).enter(IDS)
    assert block.forward is own


def test_any_selection_of_blocks_is_the_model_without_the_others(family: str) -> None:
    """Masks and position embeddings follow a block's dense index."""
    network = families.network(family)
    anatomy, kept = dissect(network), (0, 2, 4)
    with torch.inference_mode():
        *_, (depth, last) = anatomy.enter(IDS).depths(kept)
        expected = selected(network, kept)(input_ids=IDS, use_cache=False).logits[0]
        found = anatomy.unembedding.vocabulary_logits(anatomy.unembedding.normed(last[0]), 0, families.VOCABULARY)
    assert depth == 3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_norm_statistics_are_the_states_own() -> None:
    """A state and the same state scaled give the same RMS-normed logits: the lens does not borrow the last depth's
    statistics."""
    anatomy = dissect(families.network("llama"))
    state = torch.randn(3, 32)
    torch.testing.assert_close(
        anatomy.unembedding.normed(state), anatomy.unembedding.normed(1000 * state), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize(
    ("family", "scale", "softcap"),
    [("cohere", 0.25, None), ("granite", 0.125, None), ("gemma2", 1.0, 3.0), ("llama", 1.0, None)],
)
def test_scale_and_softcap(family: str, scale: float, softcap: float | None) -> None:
    unembedding = dissect(families.network(family)).unembedding
    assert unembedding.logit_scale == scale
    assert unembedding.softcap == softcap


def test_projection_after_the_last_block() -> None:
    """It is part of the way to the head."""
    network = families.network("opt_projected")
    assert dissect(network).unembedding.normed(torch.randn(2, 32)).shape == (2, 16)


def test_nan_weights_are_named() -> None:
    network = families.network("qwen2")
    network.model.layers[2].mlp.up_proj.weight.data[0, 0] = torch.nan
    with pytest.raises(ModelError, match=r"layers\.2\.mlp\.up_proj\.weight hold NaN"):
        dissect(network)


def test_encoder_decoder_is_refused() -> None:
    config = T5Config(vocab_size=64, d_model=16, d_kv=4, d_ff=16, num_layers=2, num_heads=2)
    with pytest.raises(ModelError, match="encoder-decoder"):
        dissect(T5ForConditionalGeneration(config))


def test_missing_blocks_are_named() -> None:
    network = families.network("llama")
    network.config.num_hidden_layers = 4
    with pytest.raises(ModelError, match=r"no list of 4 transformer blocks; the lists found are: model\.layers \(5\)"):
        dissect(network)


def test_missing_head_is_named() -> None:
    network = families.network("llama")
    with pytest.raises(ModelError, match="no unembedding"):
        dissect(network.model)


def test_a_head_that_is_not_understood_is_refused() -> None:
    """Something between head and logits that no part explains must not be read as if it were not there."""
    network = families.network("llama")
    network.lm_head.register_forward_hook(lambda _m, _a, out: out.abs())
    with pytest.raises(ModelError, match="was not understood"):
        dissect(network)


def test_encoders_have_no_unembedding() -> None:
    from transformers import BertModel

    with pytest.raises(ModelError):
        dissect(
            BertModel(
                BertConfig(
                    vocab_size=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16
                )
            )
        )


@pytest.mark.gpu
def test_families_on_cuda(family: str) -> None:
    network = families.network(family).cuda()
    assert dissect(network).unembedding.vocabulary == families.VOCABULARY


def _looking_ahead() -> dict[str, PreTrainedModel]:
    """Networks whose attention is not causal."""
    text = Gemma3TextConfig(**{**families._SHAPE, "head_dim": 8, "use_bidirectional_attention": True})
    bert = BertGenerationConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16
    )
    images = PaliGemmaConfig(
        text_config=GemmaConfig(**families._SHAPE, head_dim=8).to_dict(),
        vision_config=SiglipVisionConfig(
            hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14
        ).to_dict(),
        image_token_index=419,
        projection_dim=32,
    )  # fmt: skip
    return {
        "Gemma3ForCausalLM": Gemma3ForCausalLM(text),
        "BertGenerationDecoder": BertGenerationDecoder(bert),
        "PaliGemmaForConditionalGeneration": PaliGemmaForConditionalGeneration(images),
    }


@pytest.mark.parametrize("name", ["Gemma3ForCausalLM", "BertGenerationDecoder", "PaliGemmaForConditionalGeneration"])
def test_attention_that_looks_ahead_is_refused_by_name(name: str) -> None:
    torch.manual_seed(0)
    network = _looking_ahead()[name].eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    with pytest.raises(ModelError, match=f"{name} is not causal: of 8 tokens"):
        dissect(network)


def test_memory_that_runs_out_is_no_lack_of_understanding(monkeypatch: pytest.MonkeyPatch) -> None:
    network = families.network("llama")

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(network, "forward", full)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        dissect(network)
