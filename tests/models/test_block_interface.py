"""What passes between blocks beside the state stays with its stream, or is refused by name."""

from collections.abc import Callable
from typing import Any

import families
import pytest
import torch
import word_tasks
from transformers import (
    BambaConfig,
    CpmAntConfig,
    DeepseekV4Config,
    Gemma4TextConfig,
    GlmMoeDsaConfig,
    MllamaForCausalLM,
    MllamaTextConfig,
    OpenAIGPTConfig,
    PretrainedConfig,
    RwkvConfig,
    ZayaConfig,
)  # fmt: skip

import layercliff
from layercliff.errors import ModelError
from layercliff.models import surgery
from layercliff.models.anatomy import Anatomy, dissect
from layercliff.pruning.sweep import Sweep

IDS = torch.tensor([[5, 77, 130, 9, 240, 31, 18, 200, 44, 3], [7, 8, 130, 9, 24, 31, 118, 20, 4, 33]])
N = families.N_LAYERS
SHAPE: dict[str, Any] = {
    "vocab_size": families.VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": N,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}
GLM: dict[str, Any] = {
    **SHAPE,
    "num_key_value_heads": 4,
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "index_topk": 4,
    "index_n_heads": 2,
    "index_head_dim": 16,
    "n_group": 1,
    "topk_group": 1,
    "mlp_layer_types": ["dense"] * 2 + ["sparse"] * 3,
}
RWKV: dict[str, Any] = {
    "vocab_size": families.VOCABULARY,
    "hidden_size": 32,
    "attention_hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": N,
}
_KINDS = ["sliding_attention", "full_attention", "full_attention", "sliding_attention", "full_attention"]


def shared_keys() -> PretrainedConfig:
    """Gemma 4 whose last two blocks use the keys and values of earlier ones."""
    return Gemma4TextConfig(
        **SHAPE, head_dim=8, global_head_dim=8, sliding_window=4, layer_types=_KINDS, num_kv_shared_layers=2, hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=families.VOCABULARY,
    )  # fmt: skip


def shared_choice() -> PretrainedConfig:
    """GLM some of whose blocks look at the tokens that an earlier one chose."""
    return GlmMoeDsaConfig(**GLM | {"index_topk": 64}, indexer_types=["full", "full", "shared", "full", "shared"])


CONFIGS: dict[str, Callable[[], PretrainedConfig]] = {
    "rwkv": lambda: RwkvConfig(**RWKV),
    "openai": lambda: OpenAIGPTConfig(vocab_size=families.VOCABULARY, n_embd=32, n_layer=N, n_head=4, n_positions=256),
    "bamba": lambda: BambaConfig(
        **SHAPE,
        mamba_n_heads=4,
        mamba_d_head=16,
        mamba_d_state=8,
        mamba_n_groups=1,
        mamba_chunk_size=8,
        attn_layer_indices=[2],
        attn_implementation="eager",
    ),
    "zaya": lambda: ZayaConfig(
        **SHAPE, head_dim=8, moe_intermediate_size=24, num_experts=4, router_hidden_size=16, layer_types=["hybrid"] * N
    ),
    "glm": lambda: GlmMoeDsaConfig(**GLM, indexer_types=["full"] * N),
}


def logits(anatomy: Anatomy, states: torch.Tensor) -> torch.Tensor:
    """Of all rows."""
    unembedding = anatomy.unembedding
    return torch.stack(
        [unembedding.vocabulary_logits(unembedding.normed(state), 0, unembedding.vocabulary) for state in states]
    )


@pytest.mark.parametrize("family", CONFIGS)
@torch.inference_mode()
def test_candidates_of_a_sweep_lack_their_block(family: str) -> None:
    """Each is the network without the block."""
    network = families.built(CONFIGS[family]())
    anatomy = dissect(network)
    sweep = Sweep(anatomy.enter(IDS), range(N), 10**8)
    whole = list(anatomy.enter(IDS).depths())[-1][1]
    torch.testing.assert_close(logits(anatomy, whole), network(input_ids=IDS, use_cache=False).logits)
    first = 1 if family == "rwkv" else 0  # its first block holds a norm that no other has
    for block, state in sweep.candidates(range(first, N)).items():
        with surgery.pruned(network, [index for index in range(N) if index != block]):
            expected = network(input_ids=IDS, use_cache=False).logits
        torch.testing.assert_close(logits(anatomy, state), expected, rtol=1e-4, atol=1e-4)


def test_what_blocks_hand_on_is_found() -> None:
    places = {family: dissect(families.built(CONFIGS[family]())).wiring.beside for family in ("zaya", "glm", "bamba")}
    assert [(one.place, one.part) for one in places["zaya"]] == [(1, 1)]
    assert [(one.place, one.part) for one in places["glm"]] == [("prev_topk_indices", 1)]
    assert places["bamba"] == ()


@pytest.mark.parametrize(("config", "stay"), [(shared_keys, (0, 2)), (shared_choice, (1, 3))])
@torch.inference_mode()
def test_blocks_that_others_lean_on_stay(config: Callable[[], PretrainedConfig], stay: tuple[int, ...]) -> None:
    network = families.built(config())
    anatomy = dissect(network)
    *_, (_, whole) = anatomy.enter(IDS).depths()
    torch.testing.assert_close(logits(anatomy, whole), network(input_ids=IDS, use_cache=False).logits)
    assert anatomy.wiring.must_stay == stay
    with pytest.raises(ModelError, match="cannot be taken out"):
        Sweep(anatomy.enter(IDS), range(N)).candidates(stay[:1])


@torch.inference_mode()
def test_candidates_do_not_share_what_blocks_write_into() -> None:
    """A block that only reads shared keys and values may go, in any order with the others."""
    network = families.built(shared_keys())
    anatomy = dissect(network)
    (state,) = Sweep(anatomy.enter(IDS), range(N)).candidates([3]).values()
    *_, (_, alone) = anatomy.enter(IDS).depths((0, 1, 2, 4))
    *_, (_, whole) = anatomy.enter(IDS).depths()
    torch.testing.assert_close(state, alone, rtol=0, atol=0)
    torch.testing.assert_close(logits(anatomy, whole), network(input_ids=IDS, use_cache=False).logits)


def test_blocks_that_others_lean_on_are_protected() -> None:
    """They are told before anything is scored."""
    notes: list[str] = []
    found = layercliff.prune(
        families.built(shared_choice()),
        word_tasks.task(8, "letter"),
        tokenizer=families.tokenizer(),
        assess=False,
        remove=1,
        note=notes.append,
    )
    assert found.protected == (1, 3)
    assert notes[0].startswith(
        "Blocks 1, 3 stay, since a checkpoint without them would be another model: Block 1 cannot be taken out"
    )


def test_a_path_without_protected_blocks_is_refused() -> None:
    """It is refused before it begins."""
    wiring = dissect(families.built(shared_choice())).wiring
    wiring.check_protected((1, 3))
    with pytest.raises(ModelError, match=r"1, 3 hand on .* --protect 1,3,4"):
        wiring.check_protected((1, 4))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (lambda: RwkvConfig(**RWKV, rescale_every=2), "changes what block 1 returns before block 2 receives it"),
        (
            lambda: CpmAntConfig(
                vocab_size=420, hidden_size=32, num_attention_heads=4, dim_head=8, dim_ff=48, num_hidden_layers=2
            ),
            r"\(1, 40, 32\) for 8",
        ),
        (
            lambda: DeepseekV4Config(
                **{**SHAPE, "num_hidden_layers": 2},
                moe_intermediate_size=24,
                head_dim=8,
                q_lora_rank=16,
                n_routed_experts=4,
                num_experts_per_tok=2,
                sliding_window=6,
                o_groups=8,
                o_lora_rank=16,
                index_n_heads=4,
                index_head_dim=8,
                mlp_layer_types=["hash_moe", "moe"],
                layer_types=["heavily_compressed_attention", "compressed_sparse_attention"],
            ),
            r"\(1, 8, 4, 32\) for 8",
        ),
    ],
)
def test_what_cannot_be_read_block_by_block_is_named(config: Callable[[], PretrainedConfig], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        dissect(families.built(config()))


def test_a_network_that_skips_blocks_is_named() -> None:
    network = MllamaForCausalLM(MllamaTextConfig(**SHAPE, cross_attention_layers=[3])).eval()
    with pytest.raises(ModelError, match=r"each of its blocks once.*block 3"):
        dissect(network)
