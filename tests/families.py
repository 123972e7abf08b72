"""Tiny random models of many families, built from their configurations, with norms that are not 1 and biases that are
not 0."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    CohereConfig,
    FalconConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    Olmo2Config,
    OPTConfig,
    Phi3Config,
    PhiConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
    SmolLM3Config,
)  # fmt: skip

VOCABULARY = 420
N_LAYERS = 5
_SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}
_OLD = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
_MIXED = ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention", "full_attention"]

CONFIGS: dict[str, Callable[[], PretrainedConfig]] = {
    "llama": lambda: LlamaConfig(**_SHAPE),
    "llama_tied": lambda: LlamaConfig(**_SHAPE, tie_word_embeddings=True),
    "mistral": lambda: MistralConfig(**_SHAPE, sliding_window=4),
    "qwen2": lambda: Qwen2Config(**_SHAPE),
    "qwen3": lambda: Qwen3Config(**_SHAPE, head_dim=8),
    "gemma2": lambda: Gemma2Config(
        **_SHAPE, head_dim=8, sliding_window=4, final_logit_softcapping=3.0, attn_logit_softcapping=5.0, query_pre_attn_scalar=8
    ),
    "gemma3": lambda: Gemma3TextConfig(**_SHAPE, head_dim=8, sliding_window=4, layer_types=_MIXED, query_pre_attn_scalar=8),
    "phi": lambda: PhiConfig(**_SHAPE),
    "phi3": lambda: Phi3Config(**_SHAPE),
    "gpt2": lambda: GPT2Config(**_OLD, n_embd=32, n_layer=N_LAYERS, n_head=4, n_positions=256),
    "gpt_neox": lambda: GPTNeoXConfig(**_SHAPE),
    "opt": lambda: OPTConfig(**_OLD, hidden_size=32, ffn_dim=48, num_hidden_layers=N_LAYERS, num_attention_heads=4, max_position_embeddings=256, word_embed_proj_dim=32),
    "opt_projected": lambda: OPTConfig(
        **_OLD, hidden_size=32, ffn_dim=48, num_hidden_layers=N_LAYERS, num_attention_heads=4, max_position_embeddings=256, word_embed_proj_dim=16, do_layer_norm_before=False
    ),
    "falcon": lambda: FalconConfig(**_OLD, hidden_size=32, num_hidden_layers=N_LAYERS, num_attention_heads=4, new_decoder_architecture=False),
    "bloom": lambda: BloomConfig(**_OLD, hidden_size=32, n_layer=N_LAYERS, n_head=4),
    "olmo2": lambda: Olmo2Config(**_SHAPE),
    "cohere": lambda: CohereConfig(**_SHAPE, logit_scale=0.25),
    "granite": lambda: GraniteConfig(**_SHAPE, logits_scaling=8.0),
    "smollm3": lambda: SmolLM3Config(**_SHAPE, no_rope_layers=[1, 1, 1, 0, 1]),
    "qwen3_moe": lambda: Qwen3MoeConfig(**_SHAPE, head_dim=8, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=24),
}  # fmt: skip


def network(family: str, seed: int = 0, n_layers: int = N_LAYERS) -> PreTrainedModel:
    """A random network of a family; larger weights than the initialiser's, so that its depths differ, and perturbed
    norms. Families whose blocks are all alike can have another number of them."""
    config = CONFIGS[family]()
    if n_layers != N_LAYERS:
        config.num_hidden_layers = n_layers
    return built(config, seed)


def built(config: PretrainedConfig, seed: int = 0) -> PreTrainedModel:
    """A random network of a configuration, drawn in the same way."""
    torch.manual_seed(seed)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config).eval().float()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
            else:
                parameter.copy_(0.15 * torch.randn_like(parameter))
    return model


_CORPUS = (
    "The capital of France is Paris and the capital of Chile is Santiago. Question: which of these is a "
    "metal?\nAnswer: iron\n\n"
    "Answer: A Answer: B Answer: C Answer: D The city of Lyon is in France. A. copper\n B. water\n C. paper\n D. "
    "wood\nAnswer: A E F G H blue red green yellow one two three"
)


def tokenizer(begin: bool = False) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer trained on a few words; `begin` makes it put a begin token before every text."""
    model = Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    model.train_from_iterator([_CORPUS] * 4 + [" blue red green yellow one two three iron"] * 8, trainer)
    if begin:
        from tokenizers.processors import TemplateProcessing

        model.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=model, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def saved(directory: Path, family: str = "llama", n_layers: int = N_LAYERS) -> str:
    """A checkpoint on disk with its tokenizer, by its path."""
    network(family, n_layers=n_layers).save_pretrained(directory)
    tokenizer().save_pretrained(directory)
    return str(directory)
