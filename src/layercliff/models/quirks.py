"""What is special about a family of models, in one table.

Refusals of an architecture name this file as the place to mend it.
"""

from transformers import PretrainedConfig

from layercliff.errors import ModelError

PLACE = "what is special about a family stands in layercliff/models/quirks.py"

SOFTCAPS = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")
"""Fields that cap the logits: Gemma 2, RecurrentGemma, xLSTM."""

SCALES = ("logit_scale",)
"""Fields that the logits are multiplied by: Cohere."""

DIVISORS = ("logits_scaling",)
"""Fields that the logits are divided by: Granite."""

WINDOWS = ("keep_window_size",)
"""Fields that limit how many keys are kept, later ones included: Doge. Longer sequences are not causal."""

TOWERS = ("vision", "visual", "image", "audio", "speech", "vit")
"""Words in the names of modules for images or sounds."""

PROJECTOR = "multi_modal_projector"
"""The module that maps a tower's output to the language model."""

COUNTS = {"longcat_flash": "num_layers"}
"""The field that counts the blocks, by model type, where it is not ``num_hidden_layers``.

LongCat has two attentions a block and counts those there.
"""


def block_count(config: PretrainedConfig) -> int:
    """The number of blocks of a language model's configuration (not a wrapper's).

    Raises `ModelError` where it does not say.
    """
    field = count_field(config)
    count = getattr(config, field, None)
    if not isinstance(count, int):
        raise ModelError(
            f"The configuration {type(config).__name__} does not say how many blocks there are ({field} is "
            f"{count!r}): {PLACE}."
        )
    return count


def count_field(config: PretrainedConfig) -> str:
    """The field that holds the number of blocks."""
    return COUNTS.get(config.model_type, "num_hidden_layers")


def in_tower(path: str) -> bool:
    """Whether a module lies in a tower for images or sounds."""
    return any(word in path for word in TOWERS)


def beside_language(key: str) -> bool:
    """Whether a tensor of a multimodal checkpoint belongs to a tower or its projector."""
    part = key.removeprefix("model.").partition(".")[0]
    return in_tower(part) or part == PROJECTOR


def softcap(config: PretrainedConfig) -> float | None:
    """The cap on the logits, where the configuration has one."""
    return next((value for name in SOFTCAPS if (value := getattr(config, name, None)) is not None), None)


def scales(config: PretrainedConfig) -> list[float]:
    """The factors on the logits that a configuration may mean."""
    factors = [getattr(config, name, None) for name in SCALES]
    divisors = [getattr(config, name, None) for name in DIVISORS]
    return [1.0, *(float(f) for f in factors if f), *(1 / d for d in divisors if d)]


def causal_up_to(config: PretrainedConfig) -> int | None:
    """The longest causal sequence in tokens, where the configuration sets a limit."""
    return next((value for name in WINDOWS if (value := getattr(config, name, None)) is not None), None)
