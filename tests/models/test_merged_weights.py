"""Merged weights against their equations written out, heads and channels against what each adds to the stream, and the
dense weights back."""

import copy
from dataclasses import replace

import families
import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel, Qwen3MoeConfig

from layercliff.errors import ModelError
from layercliff.models import merged_weights
from layercliff.models.anatomy import find_blocks
from layercliff.models.merged_blocks import Blends, Channelwise, Linear
from layercliff.models.merged_weights import blended, identity
from layercliff.models.model import Model
from layercliff.models.surgery import cut, pruned
from layercliff.models.weight_layout import KINDS, WRITE, SlotLayout, groups, layout, writer

IDS = torch.tensor([[5, 77, 130, 9, 240, 31, 18, 200]])
UNDERSTOOD = [
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma2",
    "gemma3",
    "phi",
    "phi3",
    "gpt2",
    "gpt_neox",
    "opt",
    "cohere",
    "granite",
    "smollm3",
]
BLENDS: Blends = {1: Linear({1: -1.0, 2: 1.0, 3: 1.0}), 4: Linear({0: 0.25, 4: 0.75})}


def weights(network: PreTrainedModel) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def test_linear_mixtures_against_the_equation(family: str) -> None:
    network = families.network(family)
    path, blocks = find_blocks(network)
    dense = weights(network)
    with blended(network, BLENDS):
        merged = weights(network)
    for name, _ in blocks[0].named_parameters():
        at = [dense[f"{path}.{index}.{name}"] for index in range(5)]
        torch.testing.assert_close(merged[f"{path}.1.{name}"], at[1] + (at[2] - at[1]) + (at[3] - at[1]))
        torch.testing.assert_close(merged[f"{path}.4.{name}"], 0.25 * at[0] + 0.75 * at[4])
        for index in (0, 2, 3):
            assert torch.equal(merged[f"{path}.{index}.{name}"], at[index])


def test_narrow_weights_are_mixed_wide_and_stored_narrow() -> None:
    network = families.network("llama").bfloat16()
    blocks = find_blocks(network)[1]
    at = [block.mlp.down_proj.weight.detach().clone() for block in blocks]
    with blended(network, BLENDS):
        found = blocks[1].mlp.down_proj.weight
        assert found.dtype == torch.bfloat16
        wide = [w.float() for w in at]
        assert torch.equal(found, (-wide[1] + wide[2] + wide[3]).bfloat16())


def test_the_dense_weights_come_back_as_the_same_tensors(family: str) -> None:
    network = families.network(family)
    before, held = weights(network), {name: p.data_ptr() for name, p in network.named_parameters()}
    with pytest.raises(KeyboardInterrupt), pruned(network, (0, 1, 4), BLENDS):
        raise KeyboardInterrupt
    assert all(torch.equal(p, before[name]) for name, p in network.named_parameters())
    assert {name: p.data_ptr() for name, p in network.named_parameters()} == held


def test_weights_worn_in_inference_have_gradients_later() -> None:
    network = families.network("llama")
    with torch.inference_mode(), blended(network, BLENDS):
        network(input_ids=IDS)
    network(input_ids=IDS).logits.sum().backward()
    assert all(parameter.grad is not None for parameter in find_blocks(network)[1].parameters())


@torch.inference_mode()
def test_cut_for_good_is_pruned_for_a_while(family: str) -> None:
    network = families.network(family)
    with pruned(network, (0, 1, 4), BLENDS):
        while_it_lasts = network(input_ids=IDS).logits
    cut(network, (0, 1, 4), BLENDS)
    assert torch.equal(network(input_ids=IDS).logits, while_it_lasts)
    plain = families.network(family)
    cut(plain, (0, 1, 4))
    assert not torch.allclose(plain(input_ids=IDS).logits, while_it_lasts)


def test_unlike_blocks_are_refused_by_name_and_nothing_changed() -> None:
    config = families.CONFIGS["qwen3_moe"]()
    assert isinstance(config, Qwen3MoeConfig)
    config.mlp_only_layers = [2]
    network = AutoModelForCausalLM.from_config(config)
    before = weights(network)
    with pytest.raises(ModelError, match=r"blocks 1 and 2 differ in structure .* cannot be merged"):
        cut(network, (0, 1, 4), BLENDS)
    assert len(find_blocks(network)[1]) == network.config.num_hidden_layers == 5
    assert all(torch.equal(p, before[name]) for name, p in network.named_parameters())


def alike(network: PreTrainedModel, kind: str, second: int) -> nn.ModuleList:
    """Block 0 and another one with the same weights, but for what reads and writes the slots of a kind."""
    blocks = find_blocks(network)[1]
    slots = layout(network, blocks[0])
    with torch.no_grad():
        for (name, one), (_, other) in zip(
            blocks[0].named_parameters(), blocks[second].named_parameters(), strict=True
        ):
            lies = slots.get(name)
            if not isinstance(lies, SlotLayout) or lies.kind != kind:
                other.copy_(one)
    return blocks


@pytest.mark.parametrize("kind", ["heads", "channels"])
@pytest.mark.parametrize("family", UNDERSTOOD)
@torch.inference_mode()
def test_a_merged_block_adds_what_its_slots_add(family: str, kind: str) -> None:
    """The slots that it takes of either block, the others' output weights 0, added up."""
    network = families.network(family)
    types = getattr(network.config, "layer_types", None) or ["full_attention"] * 5
    second = types.index(types[0], 1)  # the place decides whether there is a window
    blocks = alike(network, kind, second)
    same = merged_weights.identity(network, 0)
    count = len(getattr(same, kind))
    origins = tuple((second * (slot % 2), slot) for slot in reversed(range(count)))
    assert kind == "channels" or count == groups(network)

    def written(blends: Blends, block: int) -> Tensor:
        found: list[Tensor] = []
        module = writer(blocks[block], kind)  # type: ignore[arg-type]
        hook = module.register_forward_hook(lambda _m, _i, out: found.append(out.reshape(8, -1)))
        model = Model.of(network, families.tokenizer())
        with blended(network, blends):
            passage = model.anatomy.enter(IDS)
            found.clear()
            passage.block(block, passage.embedded)
        hook.remove()
        bias = getattr(module, "bias", None)
        return found[0] - (0 if bias is None else bias)

    merged = written({0: replace(same, **{kind: origins})}, 0)
    total = torch.zeros_like(merged)
    for block in (0, second):
        module = writer(blocks[block], kind)  # type: ignore[arg-type]
        kept = module.weight.detach().clone()
        axis = 0 if type(module).__name__ == "Conv1D" else 1
        size = kept.shape[axis] // count
        alone = torch.zeros_like(kept)
        for slot in (slot for origin, slot in origins if origin == block):
            alone.narrow(axis, slot * size, size).copy_(kept.narrow(axis, slot * size, size))
        module.weight.data = alone
        total += written({}, block)
        module.weight.data = kept
    torch.testing.assert_close(merged, total, rtol=1e-4, atol=1e-5)


def test_what_belongs_to_no_slot_is_mixed() -> None:
    network = families.network("opt")
    blocks = find_blocks(network)[1]
    same = merged_weights.identity(network, 0)
    blend = replace(same, inside={0: 0.25, 3: 0.75}, outside={0: 0.5, 3: 0.5})
    dense = copy.deepcopy(blocks)
    with blended(network, {0: blend}):
        torch.testing.assert_close(blocks[0].fc2.bias, 0.25 * dense[0].fc2.bias + 0.75 * dense[3].fc2.bias)
        for name in ("self_attn_layer_norm", "final_layer_norm"):
            one, other = (getattr(dense[index], name).weight for index in (0, 3))
            torch.testing.assert_close(getattr(blocks[0], name).weight, 0.5 * one + 0.5 * other)
        assert torch.equal(blocks[0].fc1.bias, dense[0].fc1.bias)


@pytest.mark.parametrize("family", UNDERSTOOD)
def test_layouts_are_proven(family: str) -> None:
    """And hold for the whole network: with the heads, or channels, of every block in the other order, it says what it
    said before."""
    model = Model.of(families.network(family), families.tokenizer())
    merged_weights.prove(model)
    network = model.network
    dense = weights(network)
    with torch.no_grad():
        before = network(IDS).logits
        for kind in KINDS:
            same = {index: identity(network, index) for index in range(families.N_LAYERS)}
            turned = {index: replace(one, **{kind: getattr(one, kind)[::-1]}) for index, one in same.items()}
            with blended(network, turned):
                assert any(not torch.equal(now, dense[name]) for name, now in weights(network).items())
                torch.testing.assert_close(network(IDS).logits, before, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("family", ["falcon", "bloom", "olmo2", "qwen3_moe"])
def test_what_is_not_understood_is_refused(family: str) -> None:
    with pytest.raises(ModelError, match=r"is not understood .* use another criterion than come"):
        merged_weights.prove(Model.of(families.network(family), families.tokenizer()))


def test_the_proof_finds_queries_of_another_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads taken as if the queries of a group lay a group's number apart, as in the published code."""
    model = Model.of(families.network("llama"), families.tokenizer())
    gather = SlotLayout.gather

    def tiled(self: SlotLayout, same: dict[int, Tensor], origins: tuple[tuple[int, int], ...]) -> Tensor:
        some = next(iter(same.values()))
        if self.kind == "heads" and some.shape[self.axis] == 32:  # queries and outputs: four heads in two groups
            spread = [(block, slot + 2 * half) for half in range(2) for block, slot in origins]
            return gather(replace(self, count=4), same, spread)
        return gather(self, same, origins)

    monkeypatch.setattr(SlotLayout, "gather", tiled)
    with pytest.raises(ModelError, match="How heads lie in the weights"):
        merged_weights.prove(model)


def test_every_kind_has_a_writer() -> None:
    assert set(WRITE) == {"heads", "channels"}
    assert Channelwise((), ((2, 0),), {1: 1.0}, {3: 1.0}).sources == {1, 2, 3}
