"""Every causal family of the installed transformers as a tiny random network: its default configuration, made small."""

import dataclasses
from typing import Any

import families
import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

N_LAYERS = families.N_LAYERS
VOCABULARY = 448  # a few tokens more than the tokenizer has, for those that stand for images and sounds
WIDTH, HEADS, HEAD, INNER, WINDOW = 32, 4, 8, 48, 6

_VALUES: tuple[tuple[Any, str], ...] = (
    (
        WIDTH,
        """hidden_size d_model n_embd embed_dim emb_dim embedding_dim embedding_size dim_model dim hidden_dim
        output_dim out_hidden_size word_embed_proj_dim input_embedding_size output_embedding_size
        attention_hidden_size lru_width moe_hidden_size projection_dim cross_attention_dim mm_hidden_size
        decoder_hidden_size text_hidden_size vision_hidden_size shape_embed_dim base_channels
        pronunciation_embed_dim pronunciation_vocab_size shape_vocab_size""",
    ),
    (
        INNER,
        """intermediate_size ffn_dim encoder_ffn_dim decoder_ffn_dim dim_ff dff ffn_hidden_size n_inner d_inner d_ff
        feed_forward_size intermediate_size_mlp dense_intermediate_size block_ff_dim""",
    ),
    (
        24,
        """moe_intermediate_size shared_expert_intermediate_size shared_experts_intermediate_size
        expert_ffn_hidden_size share_expert_dim shared_intermediate_size moe_shared_expert_intermediate_size
        moe_latent_size""",
    ),
    (
        N_LAYERS,
        """num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers num_encoder_layers
        num_decoder_layers layers num_blocks depth""",
    ),
    (
        HEADS,
        """num_attention_heads n_head n_heads num_heads encoder_attention_heads decoder_attention_heads
        num_encoder_attention_heads num_decoder_attention_heads attention_heads swa_num_attention_heads
        num_sliding_attention_heads index_n_heads linear_num_heads linear_num_value_heads mamba_n_heads
        mamba_num_heads n_mamba_heads""",
    ),
    (
        2,
        """num_key_value_heads num_kv_heads swa_num_key_value_heads linear_num_key_heads multi_query_group_num
        num_query_groups num_global_key_value_heads num_experts_per_tok num_experts_per_token moe_topk moe_k
        top_k_experts top_k moe_top_k zero_expert_num num_kv_shared_layers pad_token_id""",
    ),
    (
        HEAD,
        """head_dim dim_head d_head attention_head_size attention_head_dim global_head_dim qk_nope_head_dim
        qk_rope_head_dim v_head_dim swa_head_dim swa_v_head_dim kv_channels d_kv index_head_dim linear_head_dim
        linear_key_head_dim linear_value_head_dim rotary_dim query_pre_attn_scalar hidden_size_per_layer_input
        mamba_d_state state_size ssm_state_size time_step_rank mamba_dt_rank mamba_chunk_size chunk_size patch_size
        spatial_patch_size""",
    ),
    (
        16,
        """kv_lora_rank q_lora_rank o_lora_rank laurel_rank adapter_rank gated_norm_rank hc_lowrank router_hidden_size
        qk_head_dim""",
    ),
    (16, "mamba_d_head mamba_head_dim mamba_headdim image_size"),
    (
        4,
        """num_experts n_routed_experts num_local_experts moe_num_experts moe_num_primary_experts num_experts_global""",
    ),
    (
        1,
        """n_shared_experts num_shared_experts moe_num_shared_experts first_k_dense_replace num_dense_layers
        max_window_layers""",
    ),
    (1, "topk_group n_group num_expert_group n_groups mamba_n_groups mamba_ngroups eos_token_id"),
    (
        WINDOW,
        """sliding_window sliding_window_size window_size attention_window_size attention_chunk_size
        local_attention_window_len keep_window_size""",
    ),
    (2 * WINDOW, "local_attention"),
    (2 * WIDTH, "mamba_d_ssm"),
    (
        256,
        """index_topk rel_extent max_position_embeddings n_positions n_ctx context_length max_seq_len model_max_length
        max_target_positions""",
    ),
    (VOCABULARY, "vocab_size vocab_size_per_layer_input unpadded_vocab_size text_vocab_size"),
    (0, "bos_token_id decoder_start_token_id"),
)
FIELDS = {name: value for value, names in _VALUES for name in names.split()}
"""What fields of any configuration become, where a configuration has them and their default is not zero or absent."""

NEEDED = ("head_dim", "n_routed_experts", "n_shared_experts", "num_experts_per_tok")
"""Fields that are filled in though they are absent by default."""


def _rotary(*sections: int) -> dict[str, Any]:
    """Positions of three kinds, of so many frequencies each."""
    return {"rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": list(sections)}}


_LINEAR = ["linear_attention", "hybrid", "linear_attention", "hybrid", "linear_attention"]
_SHARING = ["sliding_attention", "full_attention", "sliding_attention", "sliding_attention", "full_attention"]
_NO_INPUTS_PER_BLOCK = {"text_config": {"hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 0}}

OVERRIDES: dict[str, dict[str, Any]] = {
    "Bamba": {"attn_layer_indices": [1, 3]},
    "Blt": {"cross_attn_k": 2, "encoder_hash_byte_group_size": [3], "encoder_hash_byte_group_vocab": 64},
    "BltGlobalTransformer": {"hidden_size": 2 * WIDTH},
    "BltLocalDecoder": {"hidden_size_global": 2 * WIDTH},
    "BltLocalEncoder": {"hidden_size_global": 2 * WIDTH},
    "Chameleon": {"vocabulary_map": {"<image>": VOCABULARY - 1, "IMGIMGA": VOCABULARY - 2}},
    "CohereCompassText": {"rope_parameters": {"full_attention": _rotary(2, 1, 1)["rope_parameters"]}},
    "Cosmos3EdgeText": _rotary(2, 1, 1),
    "Dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 10_000.0},
        "ffn_config": {"ffn_hidden_size": 24, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "DeepseekOcr2Text": {"mlp_layer_types": ["dense", "sparse", "sparse", "sparse", "sparse"]},
    "DiffusionGemmaText": {
        "global_head_dim": 2 * HEAD,
        "num_experts": 4,
        "top_k_experts": 2,
        "moe_intermediate_size": 24,
    },
    "Dots3NoteText": {
        **dict.fromkeys(("swa_num_attention_heads", "swa_num_key_value_heads", "num_key_value_heads"), HEADS),
        **dict.fromkeys(("swa_qk_nope_head_dim", "swa_qk_rope_head_dim", "swa_v_head_dim"), HEAD),
        **dict.fromkeys(("swa_q_lora_rank", "swa_kv_lora_rank", "swa_head_dim", "head_dim"), 16),
        "layer_types": ["indexed_attention", "sliding_attention"] * 2 + ["indexed_attention"],
        "sliding_window": WINDOW,
    },
    "Dots3NoteVision": {"per_layer_config": {2: {"num_local_experts": 4, "num_experts_per_tok": 2}}},
    "Emu3": {"vocabulary_map": {"<image>": VOCABULARY - 1, "<|visual token 000000|>": VOCABULARY - 2}},
    "Ernie4_5_VLMoeText": {**_rotary(1, 1, 2), "moe_intermediate_size": [24, 24]},
    "Exaone4": {"sliding_window_pattern": 4},
    "Florence2Vision": {
        "embed_dim": (32, 32, 32, 32),
        "num_heads": (4, 4, 4, 4),
        "num_groups": (4, 4, 4, 4),
        "depths": (1, 1, 1, 1),
    },
    "Gemma3nText": {"layer_types": _SHARING, "activation_sparsity_pattern": [0.9, 0.0, 0.9, 0.0, 0.0]},
    "Gemma4Assistant": _NO_INPUTS_PER_BLOCK,
    "Gemma4Text": {"global_head_dim": 2 * HEAD},
    "Gemma4UnifiedText": {"global_head_dim": 2 * HEAD},
    "Glm46VText": _rotary(1, 1, 2),
    "Glm4vMoeText": _rotary(1, 1, 0),
    "Glm4vText": _rotary(1, 1, 2),
    "Glm5NextText": {"num_key_value_heads": HEADS},
    "GlmOcrText": _rotary(1, 1, 2),
    "GlmgaText": _rotary(1, 1, 2),
    "GPTNeo": {"attention_types": [[["global", "local"], 2], [["global"], 1]]},
    "Granite4Vision": {
        "vision_config": {"hidden_size": 2 * WIDTH},
        "deepstack_layer_map": [[1, 0], [3, 2]],
        "spatial_target_layers": [1, 2, 3, 4],
        "downsample_rate": "1/2",
    },
    "GraniteMoeHybrid": {"layer_types": ["mamba", "attention", "mamba", "attention", "mamba"]},
    "HunYuanVLText": _rotary(2, 1, 1),
    "Lfm2Moe": {"layer_types": ["conv", "full_attention", "conv", "full_attention", "conv"]},
    "Mamba2": {"head_dim": 2 * WIDTH // HEADS},
    "Molmo2Adapter": {"vision_feature_layer": [4, 2]},
    "MuseSparkAudio": {"num_hidden_layers": 4, "hidden_sizes": (32, 32, 32, 32)},
    "Nemotron": {"num_key_value_heads": 2},
    "NemotronH_Omni_Reasoning_V3_": {"audio_config": None},
    "PaddleOCRText": _rotary(1, 1, 2),
    "Phi4MultimodalVision": {"num_hidden_layers": 2},
    "Qwen2VLText": _rotary(1, 1, 2),
    "Qwen2_5OmniText": _rotary(1, 1, 2),
    "Qwen2_5_VLText": _rotary(1, 1, 2),
    "Qwen4ExpText": {
        "indexer_n_heads": 2,
        "indexer_kv_heads": 1,
        "indexer_head_dim": HEAD,
        "indexer_budget": 64,
        "indexer_compress_ratio": 4,
    },
    "Reformer": {"is_decoder": True, "axial_pos_embds": False, "attn_layers": ["local"] * N_LAYERS},
    "Step3p7Text": {"sliding_window": WINDOW},
    "Xmod": {"default_language": "en_XX"},
    "Zamba": {"layers_block_type": _LINEAR},
    "Zamba2": {"layers_block_type": _LINEAR},
    "Zaya": {"num_experts_per_tok": 1},
}
"""What configurations of a name need besides, to be built at all or to show what the family is about."""


VARIANTS: dict[str, list[dict[str, Any]]] = {
    "falcon": [{"alibi": True}, {"new_decoder_architecture": True, "num_kv_heads": 2}],
    "gemma3_text": [{"use_bidirectional_attention": True}, {"layer_types": _SHARING}],
    "gemma4_text": [{"layer_types": _SHARING, "num_kv_shared_layers": 2}],
    "gpt2": [{"scale_attn_by_inverse_layer_idx": True}],
    "phi3": [
        {
            "original_max_position_embeddings": 24,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10_000.0,
                "long_factor": [2.0] * (HEAD // 2),
                "short_factor": [1.0] * (HEAD // 2),
                "original_max_position_embeddings": 24,
            },
        }
    ],
    "qwen2": [{"use_sliding_window": True, "max_window_layers": 2}],
    "qwen3_moe": [{"decoder_sparse_step": 2}],
}
"""Settings of some model types that change what a block sees or does, each tried beside the default."""

NOT_BUILT = {
    **dict.fromkeys(("gemma3n", "fast_vlm", "perception_lm"), "its vision tower is of a package that is not installed"),
    **dict.fromkeys(
        ("gemma4_assistant", "gemma4_unified_assistant"), "it drafts for another model, whose states it reads"
    ),
    "evolla": "it is listed among models of images and text, but is none",
    **dict.fromkeys(("musicgen", "musicgen_melody"), "the configuration of the whole model does not build its decoder"),
}
"""Model types that this cannot build, and why."""

REFUSED_LATE = {
    "youtu": "transformers itself reloads its tied embeddings as other numbers",
    "shieldgemma2": "a classifier around a whole model, whose tensors transformers reloads under other names",
    "unlimited_ocr": "without its last block it generates otherwise with a cache, at lengths that only an export tries",
}
"""Model types whose export is refused at its end, by its proof, and not before a path; and why."""


@dataclasses.dataclass(frozen=True)
class Family:
    """A model type, by the automatic class that builds its network."""

    kind: str
    images: bool = False

    @property
    def config(self) -> type[PretrainedConfig]:
        found: type[PretrainedConfig] = CONFIG_MAPPING[self.kind]
        return found

    @property
    def variants(self) -> tuple[dict[str, Any], ...]:
        """Settings beside the tiny ones: none, those of `VARIANTS`, and for an encoder those that make it a decoder."""
        decoder = [{"is_decoder": True}] if getattr(self.config, "is_decoder", None) is False else []
        return ({}, *([] if self.images else VARIANTS.get(self.kind, [])), *decoder)

    def network(self, **settings: Any) -> PreTrainedModel:
        """A random network, the same at every call."""
        auto: Any = AutoModelForImageTextToText if self.images else AutoModelForCausalLM
        torch.manual_seed(0)
        network: PreTrainedModel = auto.from_config(tiny(self.config, **settings)).eval().float()
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.ndim == 1:
                    parameter.add_(0.3 * torch.randn_like(parameter))
                else:
                    parameter.copy_(0.15 * torch.randn_like(parameter))
        return network


def every() -> list[Family]:
    """All causal models and models of images and text of the installed transformers; nothing is imported for it."""
    causal, images = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    others = [kind for kind, name in images.items() if causal.get(kind) != name]
    return [*map(Family, causal), *(Family(kind, images=True) for kind in others)]


def _name(config: type[PretrainedConfig]) -> str:
    return config.__name__.removesuffix("Config")


def tiny(config: type[PretrainedConfig], **settings: Any) -> PretrainedConfig:
    """The default configuration of a class with every field of `FIELDS` made small, those inside it as well."""
    defaults = {f.name: f.default for f in dataclasses.fields(config)}
    depth = next((v for k, v in defaults.items() if FIELDS.get(k) == N_LAYERS and isinstance(v, int)), None)
    small: dict[str, Any] = _kinds(config)
    tokens = VOCABULARY
    for field in dataclasses.fields(config):
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if field.name in FIELDS and (
            field.name in NEEDED or field.name.endswith("_token_id") or (default and type(default) is int)
        ):
            small[field.name] = FIELDS[field.name]
        elif isinstance(default, list | tuple) and len(default) == depth:
            small[field.name] = shortened(default)
        elif type(default) is int and field.name.endswith(("_token_id", "_token_index", "_index")) and default > 0:
            tokens -= 1
            small[field.name] = tokens
        elif (
            type(default) is int
            and default >= 256
            and field.name.endswith(("_dim", "_dims", "_size", "_channels", "_embeddings", "_hidden"))
        ):
            small[field.name] = WIDTH
    if "kv_lora_rank" in small and "num_key_value_heads" in small:
        small["num_key_value_heads"] = HEADS  # latent attention has no groups of heads
    overrides = dict(OVERRIDES.get(_name(config), {}))
    for name, spec in config.sub_configs_defaults.items():
        inner = spec.config_class
        if not issubclass(inner, PretrainedConfig):
            inner = spec.get_config_class(spec.model_type)
        own = {
            key: value for key, value in spec.init_kwargs.items() if key not in FIELDS and not isinstance(value, dict)
        }
        settings_inside = overrides.pop(name, {})
        small[name] = None if settings_inside is None else tiny(inner, **{**own, **settings_inside})
    return config(**{**small, **overrides, **settings})


def _kinds(config: type[PretrainedConfig]) -> dict[str, Any]:
    """What the blocks of the default configuration are, where it makes a list of that itself, for fewer blocks."""
    names = [f.name for f in dataclasses.fields(config) if f.default is None]
    try:
        made = config()
    except (StrictDataclassError, ValueError):
        return {}
    depth = getattr(made, "num_hidden_layers", None)
    lists = {name: getattr(made, name) for name in names if isinstance(getattr(made, name), list)}
    return {name: shortened(value) for name, value in lists.items() if len(value) == depth}


def shortened(values: list[Any] | tuple[Any, ...]) -> list[Any]:
    """A list of one entry per block for fewer blocks: its beginning, and at the end what does not occur in that."""
    found = list(values[:N_LAYERS])
    missing = [value for value in dict.fromkeys(values) if value not in found]
    return found[: N_LAYERS - len(missing)] + missing if len(missing) < N_LAYERS else found
