"""Names of models are resolved, and what cannot be had is refused in a sentence."""

from pathlib import Path

import families
import pytest
import torch

from layercliff.errors import ModelError
from layercliff.models import loading, lookup


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("checkpoint")
    return Path(families.saved(directory))


def test_resolve(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    kinds = {"gemma-3-270m": "packaged", str(saved): "directory", str(tmp_path / "a.gguf"): "gguf", "owner/name": "hub"}
    for name, kind in kinds.items():
        assert lookup.resolve(name).kind == kind


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gemma-3-270", "did you mean gemma-3-270m"),
        ("zzz", "known are gemma-3-270m, smollm2-135m"),
        ("./nowhere", "There is no model at"),
        ("nowhere.gguf", "There is no model at"),
    ],
)
def test_unknown_names(name: str, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        lookup.resolve(name)


def test_directories_that_are_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        lookup.resolve(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelError, match="loads no pickled weights"):
        lookup.locate(str(tmp_path))


def test_load_directory(saved: Path) -> None:
    model = loading.load(str(saved))
    assert (model.n_layers, model.dtype, model.weights_dtype) == (5, "float32", "float32")
    narrow = loading.load(str(saved), weights_dtype="bfloat16")
    assert (narrow.dtype, narrow.weights_dtype) == ("float32", "bfloat16")


def test_digest_follows_the_weights(saved: Path, tmp_path: Path) -> None:
    network = families.network("llama")
    network.save_pretrained(tmp_path)
    assert lookup.digest(tmp_path) == lookup.digest(saved)
    with torch.no_grad():
        network.model.layers[3].mlp.up_proj.weight[0, 0] += 1
    network.save_pretrained(tmp_path)
    assert lookup.digest(tmp_path) != lookup.digest(saved)


def test_incomplete_checkpoint_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    families.saved(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["model.layers.4.mlp.up_proj.weight"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 of the model's tensors \(model\.layers\.4\.mlp\.up_proj\.weight"):
        loading.load(str(tmp_path))


def test_hub_without_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="hub cannot be reached"):
        lookup.locate("owner/name")


def test_devices(tmp_path: Path) -> None:
    assert loading.choose_device("cpu").type == "cpu"
    for wrong in ("cuda:77", "abacus"):
        with pytest.raises(ModelError, match="is not available here"):
            loading.choose_device(wrong)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a/b@main", "There is no model named 'a/b@main'"),
        ("runs/a@5", "There is no run at runs/a: runs/a@5 would be a step of its path"),
        ("owner/", "There is no model named 'owner/'"),
        ("/name", "There is no model at /name"),
        ("owner/a/b", "There is no model named"),
        ("x" * 5000, r"'x{80}\.\.\.' is neither a model's name nor a path"),
        ("a/" + "x" * 5000, "is neither a model's name nor a path"),
        ("~nobody/model", "is neither a model's name nor a path|There is no model at"),
        ("a\0b", "There is no model named|is neither"),
        ("", "holds no config.json|There is no model"),
    ],
)
def test_names_that_nothing_can_have(name: str, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        lookup.locate(name)


def test_a_loop_of_links_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ModelError, match="There is no model at"):
        lookup.locate(str(tmp_path / "loop"))


def test_the_device_without_numbers_is_refused() -> None:
    with pytest.raises(ModelError, match="'meta' holds no numbers"):
        loading.choose_device("meta")
