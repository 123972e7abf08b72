"""GGUF files, dequantised once into an ordinary float32 checkpoint."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

from layercliff import cache, packages
from layercliff.errors import ModelError
from layercliff.models import checkpoint_files
from layercliff.models.library_errors import LibraryErrors
from layercliff.progress import Report

MAGIC = b"GGUF"
PART = re.compile(r"-\d{5}-of-(?P<parts>\d{5})\.gguf$")
OTHER = "give the file of another converter, or the model as a directory."
ROTATION = (
    "rope_freqs.weight",
    "rope_factors_long.weight",
    "rope_factors_short.weight",
)  # transformers reads none of them
UNSCALED = ("none", "")
SCALES_READ = ("gpt-oss",)  # architectures whose scaling of positions transformers does read


def convert(file: Path, target: Path) -> None:
    """Write the model and tokenizer of the GGUF `file` to the directory `target`, as float32 safetensors.

    Every weight keeps its dequantised value exactly. Raises `ModelError` for a file that is no GGUF, that
    transformers cannot read, or that lacks tensors.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from layercliff.models import state_dict_check

    check(file)
    _check_header(file)
    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    with LibraryErrors("", str(file), OTHER):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            **where,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused by name below
        )
        tokenizer = AutoTokenizer.from_pretrained(**where)
    model, told = loaded
    state_dict_check.check(str(file), model.config, told)
    model.config._name_or_path = ""
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def check(file: Path) -> None:
    """Check that `file` is a whole GGUF file. Raises `ModelError` otherwise, also for one part of several."""
    with LibraryErrors("", str(file), checkpoint_files.AGAIN), file.open("rb") as head:
        begin = head.read(64)
    checkpoint_files.refuse_pointer(file, begin)
    if begin[:4] != MAGIC:
        raise ModelError(f"{file} is not a GGUF file: its first four bytes are not 'GGUF'.")
    if (part := PART.search(file.name)) and int(part["parts"]) > 1:
        raise _split(file, int(part["parts"]))


def checkpoint(file: Path, report: Report) -> Path:
    """The cached checkpoint of a user's GGUF file, converted at the first call.

    The cache is keyed by the file's sha256. A damaged entry is made again.
    """
    check(file)
    digest = packages.sha256(file)
    target = cache.directory() / "models" / f"gguf-{digest[:16]}"
    cache.make_directory(target, partial(_build, file, digest, report), checkpoint_files.whole)
    return target


def _build(file: Path, digest: str, report: Report, target: Path) -> None:
    """Convert `file` into the directory `target` of the cache."""
    cache.require_space(target, 8 * file.stat().st_size, f"Converting {file.name}")
    report(f"converting {file.name}", 0, 1)
    convert(file, target)
    (target / "source.json").write_text(json.dumps({"file": file.name, "sha256": digest}, indent=1))
    report(f"converting {file.name}", 1, 1)


def _check_header(file: Path) -> None:
    """Refuse, by the file's own header, what transformers would read only in part. Raises `ModelError`."""
    from gguf import GGUFReader

    with LibraryErrors("", str(file), f"it is cut off or damaged; {checkpoint_files.AGAIN}"):
        reader = GGUFReader(file)
        fields = {name: reader.fields[name].contents() for name in reader.fields if not name.startswith("tokenizer.")}
        tensors = {tensor.name: tensor for tensor in reader.tensors}
        frequencies = [name for name in ROTATION if name in tensors and not (tensors[name].data == 1).all()]
    if int(fields.get("split.count") or 1) > 1:
        raise _split(file, int(fields["split.count"]))
    kind = str(fields.get("general.architecture"))
    count = fields.get(f"{kind}.block_count")
    blocks = {int(found[1]) for name in tensors if (found := re.match(r"blk\.(\d+)\.", name))}
    if isinstance(count, int) and blocks and max(blocks) >= count:
        raise ModelError(f"{file} holds {max(blocks) + 1} blocks and says that it has {count}: {OTHER}")
    scaling = str(fields.get(f"{kind}.rope.scaling.type") or "")
    if kind not in SCALES_READ and (frequencies or scaling not in UNSCALED):
        what = f"the tensor {frequencies[0]}" if frequencies else f"rope.scaling.type = {scaling}"
        raise ModelError(
            f"{file} scales its positions ({what}), which transformers leaves out of a GGUF file: give the model as a "
            "directory."
        )


def _split(file: Path, parts: int) -> ModelError:
    whole = PART.sub(".gguf", file.name)
    return ModelError(
        f"{file} is one of {parts} files that the model was split into: join them with "
        f"`llama-gguf-split --merge {file.name} {whole}` and give {whole}."
    )
