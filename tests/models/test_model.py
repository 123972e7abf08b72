"""Networks that are handed over are read, or refused in a sentence: wrapped, compiled, offloaded, spread over
devices."""

from collections.abc import Callable
from typing import Any

import families
import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

import layercliff
from layercliff.errors import ModelError
from layercliff.models import timing
from layercliff.models.model import Model


class Compiled(nn.Module):
    """What torch.compile gives back, without the compiler."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self._orig_mod = inner


@pytest.mark.parametrize("wrap", [nn.DataParallel, Compiled])
def test_what_wraps_a_network_is_taken_off(wrap: Callable[[nn.Module], nn.Module]) -> None:
    network = families.network("llama")
    assert Model.of(wrap(network), families.tokenizer()).network is network


def test_what_is_no_language_model_is_refused() -> None:
    with pytest.raises(ModelError, match="Linear is not a language model as transformers loads it"):
        Model.of(nn.Linear(2, 2), families.tokenizer())


def test_weights_that_are_not_in_memory_are_named() -> None:
    network = families.network("llama")
    network.model.layers[2].to("meta")
    with pytest.raises(ModelError, match=r"9 of 48 tensors .* not in memory \(model\.layers\.2\..* device_map"):
        Model.of(network, families.tokenizer())


def test_weights_on_several_devices_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network = families.network("llama")
    elsewhere = nn.Parameter(torch.zeros(1))
    monkeypatch.setattr(
        type(elsewhere),
        "device",
        property(lambda self: torch.device("cuda:1" if self is elsewhere else "cpu")),
        raising=False,
    )
    network.model.elsewhere = elsewhere
    with pytest.raises(ModelError, match=r"several devices \(.*cuda:1"):
        Model.of(network, families.tokenizer())


def mixed(family: str) -> tuple[PreTrainedModel, PreTrainedModel]:
    """A network some of whose weights are narrow, as a dequantised checkpoint's may be, and the same one widened."""
    narrow, wide = families.network(family), families.network(family)
    for name, parameter in narrow.named_parameters():
        if "mlp" in name or "attn" in name:
            parameter.data = parameter.data.bfloat16()
    wide.load_state_dict({name: tensor.float() for name, tensor in narrow.state_dict().items()})
    return narrow, wide


@torch.inference_mode()
def test_a_network_of_mixed_dtypes_is_called_as_a_wide_one() -> None:
    narrow, wide = mixed("llama")
    model = Model.of(narrow, families.tokenizer(), dtype=torch.float32)
    ids = torch.arange(3, 11)[None]
    with pytest.raises(RuntimeError, match="dtype"):
        narrow(input_ids=ids)
    with model.anatomy.calling():
        torch.testing.assert_close(narrow(input_ids=ids).logits, wide(input_ids=ids).logits)
    _, texts = timing.generation(model, (0, 1, 2, 4), [[5, 6, 7]], 1)
    assert len(texts) == 1
    assert timing.prompt(model, (0, 1, 2, 4), ids[0], 1).tokens == 8


def test_a_network_of_one_dtype_is_called_as_it_is() -> None:
    narrow = families.network("llama").bfloat16()
    model = Model.of(narrow, families.tokenizer(), dtype=torch.float32)
    with model.anatomy.calling():
        assert narrow(input_ids=torch.arange(3, 11)[None]).logits.dtype == torch.bfloat16


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_mixed_dtypes_are_pruned_as_a_wide_one(family: str) -> None:
    """They are assessed as one, too."""
    options: dict[str, Any] = {"tokenizer": families.tokenizer(), "limit": 12, "remove": 1, "dtype": "float32"}
    found, expected = (layercliff.prune(network, "capitals", **options) for network in mixed(family))
    assert found.steps == expected.steps
    assert "not_assessed" not in found.cost
