"""Weights stored in bfloat16 compute in float32 exactly as if they had been widened for good."""

import families
import pytest
import torch
from transformers import MambaConfig

from layercliff.models.anatomy import dissect

IDS = torch.tensor([[5, 77, 130, 9, 240, 31]])


@torch.inference_mode()
def depths(network: torch.nn.Module, dtype: torch.dtype) -> list[torch.Tensor]:
    anatomy = dissect(network, dtype)
    passage = anatomy.enter(IDS)
    with anatomy.computing():
        return [hidden for _, hidden in passage.depths()]


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3", "opt", "bloom", "falcon", "cohere", "qwen3_moe"])
def test_narrow_weights_compute_wide(family: str) -> None:
    narrow = families.network(family).to(torch.bfloat16)
    wide = families.network(family).to(torch.bfloat16).to(torch.float32)
    for ours, expected in zip(depths(narrow, torch.float32), depths(wide, torch.float32), strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
    assert all(p.dtype == torch.bfloat16 for p in narrow.parameters())


def test_a_network_that_asks_a_norm_for_its_dtype_computes_wide() -> None:
    """Mamba casts the state to the final norm's dtype before it calls it."""
    narrow = families.built(
        MambaConfig(vocab_size=families.VOCABULARY, hidden_size=32, state_size=8, num_hidden_layers=2)
    )
    found = depths(narrow.to(torch.bfloat16), torch.float32)
    assert all(state.dtype == torch.float32 for state in found)
    assert all(p.dtype == torch.bfloat16 for p in narrow.parameters())


def test_weights_are_put_back_after_an_exception() -> None:
    network = families.network("llama").to(torch.bfloat16)
    anatomy = dissect(network, torch.float32)

    network.model.layers[2].mlp.register_forward_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("stop")))
    with pytest.raises(RuntimeError, match="stop"), anatomy.computing():
        list(anatomy.enter(IDS).depths())
    assert all(p.dtype == torch.bfloat16 for p in network.parameters())
