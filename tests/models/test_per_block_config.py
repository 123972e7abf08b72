"""Per-layer fields of configurations: each is sliced by dense index, or the pruning is refused with the field's
name."""

from typing import Any

import families
import pytest

from layercliff.errors import ModelError
from layercliff.models.per_block_config import lists, per_block
from layercliff.models.surgery import sliced

KEPT = (1, 2, 4)

SLICED = [
    ("mlp_layer_types", ["dense", "sparse", "dense", "sparse", "moe"], ["sparse", "dense", "moe"], ("sparse", "dense", "moe")),
    ("layers_block_type", ["mamba", "attention", "mlp", "mamba", "moe"], ["attention", "mlp", "moe"], ("attention", "mlp", "moe")),
    ("of_a_model_from_tomorrow", (10, 11, 12, 13, 14), (11, 12, 14), (11, 12, 14)),
    ("hybrid_override_pattern", "M*-ME", "*-E", ("*", "-", "E")),
    ("full_attn_idxs", [0, 2, 4], [1, 2], (False, True, True)),
    ("cross_attention_layers", [1, 3], [0], (True, False, False)),
    ("attn_layer_indices", [2, 3], [1], (False, True, False)),
    ("max_window_layers", 3, 2, None),
    ("first_k_dense_replace", 2, 1, (True, False, False)),
    ("num_dense_layers", 5, 3, (True, True, True)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "wanted", "values"),
    SLICED,
    ids=lambda value: value if isinstance(value, str) and "_" in value else "",
)
def test_a_field_follows(field: str, value: Any, wanted: Any, values: tuple[Any, ...] | None) -> None:
    """What the pruned configuration says of its blocks is what the dense one said of them."""
    config = families.CONFIGS["llama"]()
    setattr(config, field, value)
    found = sliced(config, KEPT)
    assert getattr(found, field) == wanted
    assert getattr(config, field) == value
    assert per_block(found).get(field) == values
    if values is not None:
        assert tuple(per_block(config)[field][index] for index in KEPT) == values
        assert (field in lists(config)) == (isinstance(value, list | tuple) and wanted is not None and len(value) == 5)


@pytest.mark.parametrize("field", ["expert_layer_period", "attn_layer_period", "moe_layer_freq", "moe_layer_interval"])
def test_what_goes_by_position_is_refused(field: str) -> None:
    config = families.CONFIGS["llama"]()
    setattr(config, field, 2)
    with pytest.raises(ModelError, match=f"field {field} = 2 counts blocks by position"):
        sliced(config, KEPT)
    setattr(config, field, 1)
    assert sliced(config, KEPT).num_hidden_layers == 3


def test_what_is_no_list_of_blocks_is_left_alone() -> None:
    config = families.CONFIGS["llama"]()
    config.eos_token_id, config.of_another_length = [1, 2, 3, 4, 5], [1, 2, 3]
    found = sliced(config, KEPT)
    assert (found.eos_token_id, found.of_another_length) == ([1, 2, 3, 4, 5], [1, 2, 3])
