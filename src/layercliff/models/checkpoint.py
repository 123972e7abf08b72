"""A pruned model as an ordinary checkpoint, proven to reload before it is called one."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from layercliff import cache
from layercliff.errors import ModelError, RunError
from layercliff.models import proof
from layercliff.models.model import Model
from layercliff.models.precision import ROUNDING
from layercliff.models.proof import Query


@dataclass(frozen=True)
class Proof:
    """What was found when a checkpoint was reloaded in a fresh process. In `generations_tied` sequences, cached generation took another token than uncached
    at a tie within rounding (`layercliff.models.precision.ROUNDING`)."""

    sequences: int
    largest_logit_difference: float
    generations_tied: int = 0

    @property
    def cached_generation_equals_uncached(self) -> bool:
        """In every sequence."""
        return self.generations_tied == 0


@dataclass(frozen=True)
class Reloaded:
    """A checkpoint after a fresh process reloaded it: the proof, and its answer to each query (see `layercliff.models.proof.behaviour`)."""

    proof: Proof
    answers: tuple[Float[Tensor, "2 _"], ...]


def export(
    model: Model,
    target: Path,
    sequences: Sequence[Sequence[int]],
    documents: dict[str, str],
    trust_remote_code: bool = False,
) -> Proof:
    """`exporting` with nothing more to be asked of the reloaded checkpoint."""
    with exporting(model, target, sequences, documents, trust_remote_code=trust_remote_code) as found:
        return found.proof


@contextmanager
def exporting(
    model: Model,
    target: Path,
    sequences: Sequence[Sequence[int]],
    documents: dict[str, str],
    queries: Sequence[Query] = (),
    trust_remote_code: bool = False,
) -> Iterator[Reloaded]:
    """Write `model` (cut already) with its tokenizer and `documents` for the new directory `target`, reload it in a fresh process,
    compare the logits of `sequences` of token ids and cached with uncached generation, and yield the rest of what was found.

    `target` appears when all of it holds and the caller raises nothing. Raises `ModelError` saying what does not hold, `RunError` when `target` exists
    or another process is writing it.
    """
    vacant(target)
    busy = f"Another layercliff process is exporting to {target}: wait for it, or choose another --to."
    with cache.alone(target.parent / f".{target.name}.lock", busy):
        vacant(target)
        with cache.whole_directory(target) as partial:
            cache.require_space(
                partial, sum(p.numel() * p.element_size() for p in model.network.parameters()), f"Writing {target}"
            )
            model.network.save_pretrained(partial)
            model.tokenizer.save_pretrained(partial)
            for name, text in documents.items():
                (partial / name).write_text(text, encoding="utf-8")
            yield _reload(model, partial, sequences, queries, trust_remote_code)


def vacant(target: Path) -> None:
    """Raises `RunError` when `target` exists."""
    if target.exists():
        raise RunError(f"{target} exists already: choose another --to.")


def _reload(
    model: Model,
    checkpoint: Path,
    sequences: Sequence[Sequence[int]],
    queries: Sequence[Query],
    trust_remote_code: bool,
) -> Reloaded:
    found, said = _ask(checkpoint, proof.probe(sequences, queries), trust_remote_code)
    for kind, keys in said.items():
        if keys:
            raise ModelError(
                f"Reloading the checkpoint found {len(keys)} {kind.replace('_', ' ')} ({keys[0]} for one): nothing was exported."
            )
    here = [proof.logits(model.network, torch.tensor(tokens)) for tokens in sequences]
    pairs = [(logits, found[f"logits.{number:05}"]) for number, logits in enumerate(here)]
    difference = float(torch.stack([(one - other).abs().max() for one, other in pairs]).max())
    size = float(torch.stack([logits.abs().max() for logits in here]).max())
    exact = model.weights_dtype == "float32" and model.device.type == "cpu"
    if not difference <= (0.0 if exact else 0.05 * size):
        raise ModelError(
            f"The reloaded checkpoint's logits differ by {difference:.1e} from the pruned model's: nothing was exported."
        )
    partings = [float(found[f"parting.{number:05}"]) for number in range(len(sequences))]
    if not all(parting <= ROUNDING[model.weights_dtype] for parting in partings):
        raise ModelError(
            "The reloaded checkpoint generates something else with a cache than without: nothing was exported."
        )
    tied = sum(parting > 0 for parting in partings)
    answers = tuple(found[f"answer.{number:05}"] for number in range(len(queries)))
    return Reloaded(Proof(len(sequences), difference, tied), answers)


def _ask(
    checkpoint: Path, probe: dict[str, Tensor], trust_remote_code: bool
) -> tuple[dict[str, Tensor], dict[str, list[str]]]:
    """What a fresh process finds, and what loading said there, as lists of keys."""
    given, answered = checkpoint / ".probe.safetensors", checkpoint / ".answers.safetensors"
    save_file(probe, given)
    command = [sys.executable, "-m", "layercliff.models.proof", *map(str, (checkpoint, given, answered))]
    command += [str(torch.get_num_threads()), str(int(trust_remote_code))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ModelError(f"The checkpoint could not be loaded again in a fresh process ({last}): nothing was exported.")
    found = load_file(answered)
    with safe_open(answered, "pt") as file:
        said = {name: json.loads(keys) for name, keys in file.metadata().items()}
    given.unlink()
    answered.unlink()
    return found, said
