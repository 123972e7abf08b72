"""What a checkpoint holds is the model's, tensor by tensor, or it is refused by name; adapters are merged, wrappers
opened."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import families
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForMultimodalLM, PretrainedConfig
from transformers import logging as transformers_logging

from layercliff.errors import ModelError
from layercliff.models import checkpoint, loading, lookup
from layercliff.models.model import Model
from layercliff.models.surgery import cut

Tensors = dict[str, Tensor]
INPUT = torch.tensor([[5, 77, 130]])


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(families.saved(tmp_path_factory.mktemp("original")))


@pytest.fixture
def saved(original: Path, tmp_path: Path) -> Path:
    """A tiny Llama of five blocks, to be damaged."""
    return Path(shutil.copytree(original, tmp_path / "model"))


def configure(directory: Path, **fields: Any) -> None:
    file = directory / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def change(directory: Path, by: Callable[[Tensors], None]) -> Tensors:
    tensors = load_file(directory / "model.safetensors")
    by(tensors)
    save_file(tensors, directory / "model.safetensors", {"format": "pt"})
    return tensors


def refused(directory: Path, sentence: str) -> None:
    """Loading ends in one sentence, on one line."""
    with pytest.raises(ModelError, match=sentence) as error:
        loading.load(str(directory))
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")
    assert "above report" not in str(error.value)


def logits(directory: Path | str) -> Tensor:
    with torch.inference_mode():
        found: Tensor = loading.load(str(directory)).network(input_ids=INPUT).logits
    return found


# Tensors


def test_harmless_tensors_are_left_out(saved: Path) -> None:
    """Rotary caches, masks of old versions, further heads that guess tokens after the next."""
    before = logits(saved)

    def add(tensors: Tensors) -> None:
        for number in range(5):
            tensors[f"model.layers.{number}.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
            tensors[f"model.layers.{number}.attn.bias"] = torch.ones(1, 1, 8, 8, dtype=torch.uint8)
            tensors[f"model.layers.{number}.attn.masked_bias"] = torch.tensor(-1e4)
        tensors["model.position_ids"] = torch.arange(4)
        tensors["model.mtp.layers.0.weight"] = torch.ones(4, 4)
        tensors["model.layers.5.mlp.up_proj.weight"] = torch.ones(48, 32)

    change(saved, add)
    configure(saved, num_nextn_predict_layers=1)
    assert torch.equal(logits(saved), before)


def test_a_tensor_of_another_model_is_refused(saved: Path) -> None:
    change(saved, lambda tensors: tensors.update({"model.layers.0.self_attn.q_norm.weight": torch.ones(8)}))
    refused(saved, r"holds 1 tensors that its model does not have \(model\.layers\.0\.self_attn\.q_norm\.weight")


def test_a_bias_named_as_a_mask_is_no_mask(saved: Path) -> None:
    change(saved, lambda tensors: tensors.update({"model.layers.0.attn.bias": torch.ones(32)}))
    refused(saved, r"does not have \(model\.layers\.0\.attn\.bias")


def test_a_configuration_of_fewer_blocks_is_refused(saved: Path) -> None:
    configure(saved, num_hidden_layers=3)
    refused(saved, r"holds 5 blocks and its configuration says 3 \(model\.layers\.3\.")


def test_a_configuration_of_more_blocks_is_refused(saved: Path) -> None:
    configure(saved, num_hidden_layers=6)
    refused(saved, r"lacks 9 of the model's tensors \(model\.layers\.5\.")


def test_another_shape_is_refused_with_both(saved: Path) -> None:
    configure(saved, intermediate_size=40)
    refused(saved, r"mlp\.down_proj\.weight of .* has the shape 32 x 48 where its configuration wants 32 x 40")


# Quantised weights


def eight_bits(directory: Path, scale: str | None, section: dict[str, Any] | None) -> Tensors:
    """The weights of the blocks in FP8 with a scale each, and what the configuration says of it. **Returns** what they
    stand for."""
    meant: Tensors = {}

    def pack(tensors: Tensors) -> None:
        for name in [name for name, tensor in tensors.items() if tensor.ndim == 2 and "layers" in name]:
            size = tensors[name].abs().max() / 448
            tensors[name] = (tensors[name] / size).to(torch.float8_e4m3fn)
            meant[name] = tensors[name].float() * size
            if scale:
                tensors[name.replace(".weight", f".{scale}")] = size.reshape(1, 1) if scale.endswith("inv") else size

    change(directory, pack)
    if section is not None:
        configure(directory, quantization_config=section)
    return meant


FINE = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [16, 16]}


def test_eight_bits_are_unpacked_with_their_scales(saved: Path) -> None:
    """In the dtype that was asked for, and in one dtype throughout."""
    meant = eight_bits(saved, "weight_scale_inv", FINE)
    network = loading.load(str(saved)).network
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert all(torch.equal(network.get_parameter(name), tensor) for name, tensor in meant.items())
    narrow = loading.load(str(saved), weights_dtype="bfloat16").network
    assert {parameter.dtype for parameter in narrow.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("scale", "section", "sentence"),
    [
        ("weight_scale", None, r"would be read without their scales \(model\.layers\.0\.mlp\.down_proj\.weight_scale "),
        ("weight_scale_inv", None, "would be read without their scales"),
        ("weight_scale", {"quant_method": "fp8", "activation_scheme": "dynamic"}, "would be read without their scales"),
        (None, None, "is stored as F8_E4M3 and its config.json says of no quantisation"),
        (None, FINE, "is stored as float8_e4m3fn, unscaled"),
        (
            "weight_scale",
            {"quant_method": "modelopt", "quant_algo": "FP8"},
            "as modelopt, which cannot be unpacked here",
        ),
        ("weight_scale", {"quant_method": "awq", "bits": 4}, "as awq, which cannot be unpacked here"),
        ("weight_scale", {"bits": 4}, "in a way that it does not name"),
    ],
)
def test_eight_bits_without_their_scales_are_refused(
    saved: Path, scale: str | None, section: dict[str, Any] | None, sentence: str
) -> None:
    eight_bits(saved, scale, section)
    (saved / "hf_quant_config.json").write_text('{"quantization": {"quant_algo": "FP8"}}')  # transformers does not look
    refused(saved, sentence)


def test_whole_numbers_are_no_weights(saved: Path) -> None:
    name = "model.layers.1.mlp.up_proj.weight"
    change(saved, lambda tensors: tensors.update({name: tensors[name].to(torch.int8)}))
    refused(saved, r"model\.layers\.1\.mlp\.up_proj\.weight of .* is stored as I8")


# Files


def truncate(file: Path, length: int) -> None:
    file.write_bytes(file.read_bytes()[:length])


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12345\n"
DAMAGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "pointer": (lambda d: (d / "model.safetensors").write_text(POINTER), r"git-lfs pointer.*git lfs pull"),
    "pointer for the tokenizer": (
        lambda d: (d / "tokenizer.json").write_text(POINTER),
        r"tokenizer\.json is a git-lfs pointer",
    ),
    "pointer for the configuration": (
        lambda d: (d / "config.json").write_text(POINTER),
        r"config\.json is a git-lfs pointer",
    ),
    "empty weights": (lambda d: (d / "model.safetensors").write_bytes(b""), r"its beginning is cut off \(0 bytes\)"),
    "cut header": (lambda d: truncate(d / "model.safetensors", 100), "its beginning is cut off"),
    "cut body": (
        lambda d: truncate(d / "model.safetensors", -100),
        "is cut off: it has .* bytes, and its header describes",
    ),
    "no header": (
        lambda d: (d / "model.safetensors").write_bytes(b"\x10" + bytes(7) + b"{" * 20),
        "header of .* is damaged",
    ),
    "no json": (lambda d: (d / "config.json").write_text('{"a": '), r"config\.json is not JSON \(line 1, column 7"),
    "a list": (lambda d: (d / "config.json").write_text("[]"), r"holds list where a JSON object is expected"),
    "no text": (lambda d: (d / "config.json").write_bytes(b"\xff\xfe{"), "is not UTF-8"),
    "deep": (lambda d: (d / "config.json").write_text('{"a":' * 100_000), "is not JSON"),
    "no type": (
        lambda d: (d / "config.json").write_text("{}"),
        "configuration of .* cannot be read .*: correct its config",
    ),
    "unknown type": (lambda d: configure(d, model_type="nosuch"), "model type `nosuch`"),
    "head count": (lambda d: configure(d, num_attention_heads=0), "configuration of .* cannot be read"),
    "odd head count": (lambda d: configure(d, num_attention_heads=5, head_dim=None), "cannot be read|shape"),
    "mistyped field": (lambda d: configure(d, hidden_size="wide"), "configuration of .* cannot be read .*hidden_size"),
    "rope type": (
        lambda d: configure(d, rope_parameters={"rope_type": "su", "rope_theta": 1e4}),
        "configuration of .* cannot be read .*by the name 'su'",
    ),
    "stale layer types": (lambda d: configure(d, layer_types=["full_attention"] * 7), "cannot be read .*7.*"),
    "not causal": (lambda d: configure(d, model_type="bert"), "cannot|does not|lacks|holds"),
    "not text": (lambda d: configure(d, model_type="vit"), "type vit, which does not continue text"),
    "damaged tokenizer": (lambda d: (d / "tokenizer.json").write_text('{"a": 1}'), "tokenizer of .* cannot be read"),
    "no tokenizer": (
        lambda d: [f.unlink() for f in d.glob("tokenizer*")],
        "tokenizer of .*: save it with its tokenizer",
    ),
    "a loop": (
        lambda d: [(d / "model.safetensors").unlink(), (d / "model.safetensors").symlink_to(d / "model.safetensors")],
        "holds no .safetensors file|cannot be read",
    ),
    "a missing shard": (
        lambda d: [
            (d / "model.safetensors").rename(d / "model-00001-of-00002.safetensors"),
            (d / "model.safetensors.index.json").write_text(
                '{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}'
            ),
        ],
        r"lacks 1 of 2 weight files \(model-00002-of-00002\.safetensors",
    ),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_files_are_one_sentence(saved: Path, damage: str) -> None:
    harm, sentence = DAMAGED[damage]
    harm(saved)
    refused(saved, sentence)


# Adapters


def adapter(model: Path, folder: Path, base: str) -> Tensor:
    """An adapter over `model` in `folder`. **Returns** the logits with it."""
    peft = pytest.importorskip("peft")
    network = loading.load(str(model)).network
    worn = peft.get_peft_model(network, peft.LoraConfig(r=2, target_modules=["q_proj", "up_proj"]))
    with torch.no_grad():
        for name, parameter in worn.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn_like(parameter))
    worn.peft_config["default"].base_model_name_or_path = base
    worn.save_pretrained(folder, save_embedding_layers=False)
    with torch.inference_mode():
        found: Tensor = worn.eval()(input_ids=INPUT).logits
    return found


def test_an_adapter_is_merged_and_said(saved: Path, tmp_path: Path) -> None:
    """In the model's own directory, or alone in one, over its base."""
    before, plain = logits(saved), lookup.locate(str(saved))
    wanted = adapter(saved, tmp_path / "adapter", str(saved))
    said: list[str] = []
    located = lookup.locate(str(tmp_path / "adapter"), lambda what, *_: said.append(what))
    assert said == ["adapter: its adapter is merged into the weights"]
    assert located.revision.startswith(f"{plain.revision} adapter ")
    assert torch.allclose(logits(tmp_path / "adapter"), wanted, atol=1e-5)
    shutil.copytree(tmp_path / "adapter", saved, dirs_exist_ok=True)
    network = loading.load(str(saved)).network
    assert not [name for name, _ in network.named_parameters() if "lora" in name]
    assert torch.allclose(logits(saved), wanted, atol=1e-5)
    assert not torch.allclose(wanted, before, atol=1e-2)


def test_an_adapter_of_another_model_is_refused(saved: Path, tmp_path: Path) -> None:
    """peft would add what fits, and leave out the rest."""
    adapter(saved, tmp_path / "adapter", str(saved))
    families.saved(tmp_path / "short", n_layers=3)
    shutil.copytree(tmp_path / "adapter", tmp_path / "short", dirs_exist_ok=True)
    refused(tmp_path / "short", "the model has no place for 8 of its tensors")


def test_an_adapter_without_its_base_is_refused(saved: Path, tmp_path: Path) -> None:
    adapter(saved, tmp_path / "adapter", str(tmp_path / "gone"))
    refused(tmp_path / "adapter", "is an adapter of .*gone, which cannot be had: There is no model at")


# Wrappers


def wrapped(kind: str) -> PretrainedConfig:
    from transformers import AutoConfig

    text = dict(families._SHAPE)
    vision = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "image_size": 28,
        "patch_size": 14,
    }
    turning = {"rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4}}
    if kind.startswith("qwen"):
        shapes = {
            "qwen2_vl": {"embed_dim": 32, "hidden_size": 32},
            "qwen2_5_vl": {"hidden_size": 32, "out_hidden_size": 32},
        }
        return AutoConfig.for_model(
            kind, text_config=text | turning, vision_config={"depth": 3, "num_heads": 4} | shapes[kind]
        )
    models = {
        "llava": ("llama", "clip_vision_model"), "mistral3": ("mistral", "pixtral"),
        "internvl": ("qwen2", "internvl_vision"), "smolvlm": ("llama", "smolvlm_vision"),
    }  # fmt: skip
    words, eyes = models[kind]
    if kind == "internvl":
        vision |= {"image_size": [28, 28], "patch_size": [14, 14]}
    return AutoConfig.for_model(
        kind, text_config=text | {"model_type": words}, vision_config=vision | {"model_type": eyes}
    )


@pytest.mark.usefixtures("reloads_here")
def test_a_wrapper_from_its_directory_is_cut_and_exported(tmp_path: Path) -> None:
    AutoModelForMultimodalLM.from_config(wrapped("llava")).save_pretrained(tmp_path / "dense")
    families.tokenizer().save_pretrained(tmp_path / "dense")
    model = loading.load(str(tmp_path / "dense"))
    cut(model.network, [0, 2, 4])
    checkpoint.export(Model.of(model.network, model.tokenizer), tmp_path / "small", [[5, 77, 130]], {})
    assert torch.equal(logits(tmp_path / "small"), model.network(input_ids=INPUT).logits)


@pytest.mark.parametrize("kind", ["llava", "qwen2_vl", "qwen2_5_vl", "mistral3", "internvl", "smolvlm"])
def test_a_wrapper_loads_from_its_directory(tmp_path: Path, kind: str) -> None:
    network = AutoModelForMultimodalLM.from_config(wrapped(kind)).eval()
    network.save_pretrained(tmp_path)
    families.tokenizer().save_pretrained(tmp_path)
    model = loading.load(str(tmp_path))
    assert model.n_layers == 5
    with torch.inference_mode():
        assert torch.equal(model.network(input_ids=INPUT).logits, network(input_ids=INPUT).logits)
