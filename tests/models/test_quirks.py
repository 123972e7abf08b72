"""What is special about a family is read from one table."""

from collections.abc import Callable
from typing import Any

import families
import pytest
import torch
from transformers import (
    CLIPVisionConfig,
    ElectraConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LongcatFlashConfig,
    ModernBertDecoderConfig,
    PretrainedConfig,
    RecurrentGemmaConfig,
    RemBertConfig,
    xLSTMConfig,
)

from layercliff.models.anatomy import dissect

IDS = torch.tensor([[5, 77, 130, 9, 240, 31, 18, 200]])
SHAPE: dict[str, Any] = {
    "vocab_size": families.VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}

CONFIGS: dict[str, Callable[[], PretrainedConfig]] = {
    "a cap by another name": lambda: RecurrentGemmaConfig(**SHAPE, intermediate_size=48, lru_width=32, attention_window_size=6, logits_soft_cap=3.0),
    "a cap by a third name": lambda: xLSTMConfig(
        vocab_size=families.VOCABULARY, hidden_size=32, embedding_dim=32, num_hidden_layers=3, num_blocks=3, num_heads=4, chunk_size=8,
        output_logit_soft_cap=3.0, chunkwise_kernel="chunkwise--native_autograd", sequence_kernel="native_sequence__native", step_kernel="native",
    ),
    "two attentions a block": lambda: LongcatFlashConfig(
        **{k: v for k, v in SHAPE.items() if k != "num_hidden_layers"}, num_layers=3, ffn_hidden_size=48, expert_ffn_hidden_size=24, q_lora_rank=16,
        kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=8, v_head_dim=8, head_dim=8, qk_head_dim=16, moe_topk=2, n_routed_experts=4, zero_expert_num=2,
    ),
    "a head in two parts": lambda: ModernBertDecoderConfig(**SHAPE, intermediate_size=48, local_attention=12, cls_token_id=3, sep_token_id=4),
    "a narrower head": lambda: ElectraConfig(**SHAPE, intermediate_size=48, embedding_size=16, is_decoder=True),
    "a wider head": lambda: RemBertConfig(**SHAPE, intermediate_size=48, input_embedding_size=16, output_embedding_size=40, is_decoder=True),
}  # fmt: skip


@pytest.mark.parametrize("special", CONFIGS)
@torch.inference_mode()
def test_the_way_to_the_logits_is_found(special: str) -> None:
    network = families.built(CONFIGS[special]())
    anatomy = dissect(network)
    assert len(anatomy.blocks) == 3
    *_, (_, last) = anatomy.enter(IDS).depths()
    found = anatomy.unembedding.vocabulary_logits(anatomy.unembedding.normed(last[0]), 0, families.VOCABULARY)
    torch.testing.assert_close(found, network(input_ids=IDS, use_cache=False).logits[0], rtol=1e-4, atol=1e-4)


def test_a_vision_tower_of_equal_depth_is_not_read() -> None:
    text = LlamaConfig(**SHAPE, intermediate_size=48, num_key_value_heads=2)
    tower = CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=16,
        patch_size=8,
        projection_dim=32,
    )
    network = LlavaForConditionalGeneration(
        LlavaConfig(vision_config=tower, text_config=text, image_token_index=4)
    ).eval()
    assert dissect(network).blocks_path == "model.language_model.layers"
