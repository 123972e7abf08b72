"""GGUF files are dequantised when they are loaded."""

from pathlib import Path
from typing import Any

import families
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from layercliff.models import gguf


def test_weights_are_dequantised_into_an_ordinary_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers would keep them packed by default, which cannot be written."""
    asked: list[dict[str, Any]] = []

    def load(**options: Any) -> Any:
        asked.append(options)
        return families.network("llama")

    with monkeypatch.context() as patch:
        patch.setattr(AutoModelForCausalLM, "from_pretrained", load)
        patch.setattr(AutoTokenizer, "from_pretrained", lambda **_: families.tokenizer())
        (tmp_path / "a.gguf").write_bytes(b"GGUF")
        gguf.convert(tmp_path / "a.gguf", tmp_path / "plain")
    assert asked[0]["quantization_config"].dequantize is True
    assert (asked[0]["gguf_file"], asked[0]["dtype"]) == ("a.gguf", torch.float32)
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "plain")
    ids = torch.tensor([[5, 77, 130]])
    assert torch.equal(again.eval()(input_ids=ids).logits, families.network("llama")(input_ids=ids).logits)
