"""GGUF files: dequantised once into an ordinary float32 checkpoint, then loaded like any other."""

import json
from pathlib import Path

from layercliff import cache, packages
from layercliff.errors import ModelError
from layercliff.progress import Report

MAGIC = b"GGUF"


def convert(file: Path, target: Path) -> None:
    """Write the model and tokenizer of the GGUF `file` into the directory `target` as float32 safetensors.

    Every weight keeps its dequantised value exactly. Raises `ModelError` for a file that is no GGUF or that transformers cannot read.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    with file.open("rb") as head:
        if head.read(4) != MAGIC:
            raise ModelError(f"{file} is not a GGUF file: its first four bytes are not 'GGUF'.")
    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    try:
        model = AutoModelForCausalLM.from_pretrained(
            **where, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(**where)
    except (ValueError, KeyError, NotImplementedError, RuntimeError) as error:
        raise ModelError(
            f"{file} cannot be read by transformers: {(str(error) or type(error).__name__).splitlines()[0]}."
        ) from error
    model.config._name_or_path = ""
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def checkpoint(file: Path, report: Report) -> Path:
    """The cached checkpoint of a GGUF file of the user's, converted at the first call.

    The cache is keyed by the sha256 of the file's bytes, so that a changed file is converted anew.
    """
    digest = packages.sha256(file)
    target = cache.directory() / "models" / f"gguf-{digest[:16]}"

    def build(partial: Path) -> None:
        cache.require_space(partial, 8 * file.stat().st_size, f"Converting {file.name}")
        report(f"converting {file.name}", 0, 1)
        convert(file, partial)
        (partial / "source.json").write_text(json.dumps({"file": file.name, "sha256": digest}, indent=1))
        report(f"converting {file.name}", 1, 1)

    cache.make_directory(target, build)
    return target
