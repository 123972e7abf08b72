"""A plan counts what a trace then does, from configurations alone."""

import json
import socket
import time
from pathlib import Path

import families
import pytest

import layercliff
from layercliff.choices import Format
from layercliff.errors import ModelError
from layercliff.models import lookup


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return Path(families.saved(tmp_path / "model"))


@pytest.fixture
def task(tmp_path: Path) -> str:
    rows = [{"question": f"which is {i}?", "options": ["blue", "red", "one"], "answer": i % 2} for i in range(12)]
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return str(tmp_path / "t.jsonl")


@pytest.mark.parametrize("form", ["letter", "cloze"])
def test_counts_are_those_of_the_trace(saved: Path, task: str, form: str) -> None:
    planned = layercliff.plan(str(saved), task, format=form, batch_tokens=100)  # type: ignore[arg-type]
    found = layercliff.trace(str(saved), task, format=form, batch_tokens=100)  # type: ignore[arg-type]
    assert (planned.tokens, planned.block_passes, planned.n_batches) == (
        found.cost["tokens"],
        found.cost["block_passes"],
        found.cost["batches"],
    )
    assert planned.questions == 12
    assert not planned.tokens_estimated
    assert planned.seconds > 0


@pytest.mark.parametrize("form", ["letter", "cloze"])
def test_a_path_is_counted_at_most(saved: Path, task: str, form: Format) -> None:
    """Without room for reuse, the block passes of a path are those planned; with it, fewer."""
    planned = layercliff.plan(str(saved), task, format=form, remove=3, memory_bytes=20_000).path
    found = [
        layercliff.prune(str(saved), task, format=form, remove=3, memory_bytes=memory, assess=False)
        for memory in (20_000, 10**9)
    ]
    passes = [path.cost["selection_block_passes"] for path in found]
    assert passes[1] < passes[0] <= planned.selection_block_passes
    assert planned.removed == 3
    whole = layercliff.plan(str(saved), task, format=form).path  # type: ignore[arg-type]
    assert whole.removed == families.N_LAYERS - 1  # as `prune` walks it where nothing collapses


def test_no_weight_is_needed(saved: Path, task: str) -> None:
    (saved / "model.safetensors").unlink()
    whole = layercliff.plan(str(saved), task)
    for file in saved.glob("token*"):
        file.unlink()
    guessed = layercliff.plan(str(saved), task)
    assert guessed.tokens_estimated
    assert guessed.rows == whole.rows


def test_a_model_far_too_large(tmp_path: Path, task: str) -> None:
    from transformers import LlamaConfig

    LlamaConfig(
        hidden_size=8192,
        intermediate_size=28672,
        num_hidden_layers=80,
        num_attention_heads=64,
        num_key_value_heads=8,
        vocab_size=128256,
    ).save_pretrained(tmp_path / "huge")
    planned = layercliff.plan(str(tmp_path / "huge"), task, weights_dtype="bfloat16")
    assert 70e9 < planned.parameters < 71e9
    assert planned.n_layers == 80
    assert 140e9 < planned.weights_bytes < 150e9
    assert layercliff.plan(str(tmp_path / "huge"), task).weights_bytes == 4 * planned.parameters


def test_mixture_of_experts_counts_the_experts_used(tmp_path: Path, task: str) -> None:
    for used in (1, 4):
        config = families.CONFIGS["qwen3_moe"]()
        config.num_experts_per_tok = used
        config.save_pretrained(tmp_path / f"moe{used}")
    one, four = (layercliff.plan(str(tmp_path / f"moe{used}"), task).multiplications for used in (1, 4))
    assert one < four


def test_packaged_models_are_planned_before_the_download(task: str) -> None:
    planned = layercliff.plan("gemma-3-270m", task)
    assert planned.download_bytes > 2e8
    assert planned.parameters == 268_098_176
    assert planned.tokens_estimated


def test_unreadable_configuration(tmp_path: Path, task: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"configuration of .* cannot be read"):
        layercliff.plan(str(tmp_path), task)


def test_of_a_hub_model_no_weight_is_downloaded(saved: Path, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot(name: str, *, allow_patterns: list[str], local_files_only: bool) -> str:
        assert (name, local_files_only) == ("owner/name", False)
        assert "*.json" in allow_patterns
        assert not [pattern for pattern in allow_patterns if "safetensors" in pattern]
        return str(saved)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    monkeypatch.setattr(lookup, "hub_answers", lambda: True)
    assert layercliff.plan("owner/name", task).parameters == layercliff.plan(str(saved), task).parameters


def test_a_silent_hub_is_asked_once(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client would try again for half a minute."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        monkeypatch.setattr(lookup, "HUB_SECONDS", 0.1)
        begin = time.monotonic()
        with pytest.raises(ModelError, match="hub cannot be reached"):
            layercliff.plan("owner/name", task)
        assert time.monotonic() - begin < 5


def test_a_hub_out_of_reach_is_said_at_once(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="hub cannot be reached"):
        layercliff.plan("owner/name", task)
