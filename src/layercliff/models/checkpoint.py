"""A pruned model as an ordinary checkpoint, proven to reload before it is called one."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from layercliff import cache
from layercliff.errors import ModelError, RunError
from layercliff.models import reload_check
from layercliff.models.model import Model
from layercliff.models.precision import ROUNDING
from layercliff.models.reload_check import LogitQuery

START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from layercliff.models import reload_check; "
    "reload_check.main(*sys.argv[1:])"
)
"""What the fresh process runs: modules come from where this process has them, never from the current directory."""


@dataclass(frozen=True)
class ReloadProof:
    """What reloading a checkpoint in a fresh process showed.

    All `tensors` are equal to the bit. The logits of `sequences` sequences differ by at most
    `largest_logit_difference`. Two copies of one model differ by up to `noise_floor`, measured in both processes. In
    `generations_tied` sequences, generation with and without a cache parted at a tie within rounding
    (`layercliff.models.precision.ROUNDING`).
    """

    sequences: int
    largest_logit_difference: float
    generations_tied: int = 0
    tensors: int = 0
    noise_floor: float = 0.0


@dataclass(frozen=True)
class ReloadedCheckpoint:
    """A checkpoint that a fresh process reloaded.

    It lies in `directory` until it is whole. `answers` are what it gave to each query (see
    `layercliff.models.reload_check.behaviour`).
    """

    directory: Path
    proof: ReloadProof
    answers: tuple[Float[Tensor, "2 _"], ...]


def export(
    model: Model,
    target: Path,
    sequences: Sequence[Sequence[int]],
    documents: dict[str, str],
    trust_remote_code: bool = False,
) -> ReloadProof:
    """Write, reload and check a checkpoint, with `documents` beside it. See `exporting`."""
    with exporting(model, target, sequences, trust_remote_code=trust_remote_code) as found:
        write(found.directory, documents)
        return found.proof


@contextmanager
def exporting(
    model: Model,
    target: Path,
    sequences: Sequence[Sequence[int]],
    queries: Sequence[LogitQuery] = (),
    trust_remote_code: bool = False,
) -> Iterator[ReloadedCheckpoint]:
    """Write `model` with its tokenizer to the new directory `target` and reload it in a fresh process.

    Tensors, the logits of `sequences` (token ids) and generation with and without a cache are compared. The answers
    to `queries` are yielded. `model` is already pruned. `target` appears once all checks hold and the caller raises
    nothing.

    Raises `ModelError` for a check that fails. Raises `RunError` where `target` exists or another process writes it.
    """
    vacant(target)
    busy = f"Another layercliff process is exporting to {target}: wait for it, or choose another --to."
    with cache.alone(target.parent / f".{target.name}.lock", busy):
        vacant(target)
        with cache.whole_directory(target) as partial:
            cache.require_space(
                partial,
                sum(p.numel() * p.element_size() for p in model.network.parameters()),
                f"Writing {target}",
                "--to",
            )
            model.network.save_pretrained(partial, save_original_format=not _unpacked(model.network))
            model.tokenizer.save_pretrained(partial)
            yield _reload(model, partial, sequences, queries, trust_remote_code)


def _unpacked(network: PreTrainedModel) -> bool:
    """Whether weights were unpacked (FP8, MXFP4) as they were loaded. They cannot be packed again."""
    steps = [
        step
        for conversion in getattr(network, "_weight_conversions", None) or ()
        for step in getattr(conversion, "operations", ())
    ]
    return any(type(step).__name__.endswith(("Dequantize", "Deserialize")) for step in steps)


def write(directory: Path, documents: dict[str, str]) -> None:
    """Write texts to files, by file name."""
    for name, text in documents.items():
        (directory / name).write_text(text, encoding="utf-8")


def vacant(target: Path) -> None:
    """Check that `target` does not exist. Raises `RunError`."""
    if target.exists():
        raise RunError(f"{target} exists already: choose another --to.")


def _reload(
    model: Model,
    checkpoint: Path,
    sequences: Sequence[Sequence[int]],
    queries: Sequence[LogitQuery],
    trust_remote_code: bool,
) -> ReloadedCheckpoint:
    found, said = _ask(checkpoint, reload_check.request(sequences, queries), trust_remote_code, model.dtype)
    tensors = _tensors(reload_check.digests(model.network), said)
    with _on_the_cpu(model.network):
        here = [reload_check.copies(model.network, torch.tensor(tokens)) for tokens in sequences]
    numbers = range(len(sequences))
    difference = max(float((here[n][0] - found[f"logits.{n:05}"]).abs().max()) for n in numbers)
    floor = max(max(here[n][1], float(found[f"floor.{n:05}"])) for n in numbers)
    if not difference <= 2 * floor:  # each within the floor of what a third copy gives
        raise ModelError(
            f"The reloaded checkpoint's logits differ by {difference:.1e} from the pruned model's, of which two copies "
            f"differ by {floor:.1e}: nothing was exported."
        )
    partings = [float(found[f"parting.{number:05}"]) for number in numbers]
    if not all(parting <= ROUNDING[model.weights_dtype] for parting in partings):
        raise ModelError(
            "The reloaded checkpoint generates something else with a cache than without: nothing was exported."
        )
    tied = sum(parting > 0 for parting in partings)
    answers = tuple(found[f"answer.{number:05}"] for number in range(len(queries)))
    return ReloadedCheckpoint(checkpoint, ReloadProof(len(sequences), difference, tied, tensors, floor), answers)


def _tensors(here: dict[str, str], said: Mapping[str, Any]) -> int:
    """The number of tensors. Raises `ModelError` for one that is missing, extra or not equal to the bit."""
    there = said["tensors"]
    kinds = {name.replace("_", " "): keys for name, keys in said.items() if name != "tensors"}
    kinds["altered tensors"] = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
    for kind, keys in kinds.items():
        if keys:
            raise ModelError(
                f"Reloading the checkpoint found {len(keys)} {kind} ({keys[0]} for one): nothing was exported."
            )
    return len(here)


@contextmanager
def _on_the_cpu(network: PreTrainedModel) -> Iterator[None]:
    """Move the network to the CPU for a while, where the fresh process runs its own."""
    place = network.device
    network.to("cpu")  # type: ignore[arg-type]
    try:
        yield
    finally:
        network.to(place)  # type: ignore[arg-type]


def _ask(
    checkpoint: Path, request: dict[str, Tensor], trust_remote_code: bool, dtype: str
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What a fresh process found, and what loading reported there.

    The report holds lists of keys, and the digest of each of the ``tensors``.
    """
    given, answered = checkpoint / ".probe.safetensors", checkpoint / ".answers.safetensors"
    save_file(request, given)
    command = [sys.executable, "-P", "-c", START, json.dumps(_search()), *map(str, (checkpoint, given, answered))]
    command += [str(torch.get_num_threads()), str(int(trust_remote_code)), dtype]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ModelError(f"The checkpoint could not be loaded again in a fresh process ({last}): nothing was exported.")
    found = load_file(answered)
    with safe_open(answered, "pt") as file:
        said = {name: json.loads(content) for name, content in file.metadata().items()}
    given.unlink()
    answered.unlink()
    return found, said


def _search() -> list[str]:
    """The module search path of this process, without the current directory.

    The place of layercliff itself comes last where it is not yet listed.
    """
    found = [entry for entry in sys.path if entry and Path(entry).resolve() != Path.cwd()]
    own = str(Path(reload_check.__file__).resolve().parents[2])
    return found if own in found else [*found, own]
