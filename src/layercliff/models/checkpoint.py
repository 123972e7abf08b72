"""A pruned model as an ordinary checkpoint, proven to reload before it is called one."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from layercliff import cache
from layercliff.errors import ModelError, RunError
from layercliff.models import proof
from layercliff.models.model import Model


@dataclass(frozen=True)
class Proof:
    """What was found when a checkpoint was reloaded in a fresh process."""

    sequences: int
    largest_logit_difference: float
    cached_generation_equals_uncached: bool


def export(model: Model, target: Path, sequences: Sequence[Sequence[int]], documents: dict[str, str]) -> Proof:
    """Write `model` (cut already) with its tokenizer and `documents` into the new directory `target`, reload it in a fresh process, and
    compare the logits of `sequences` of token ids and cached with uncached generation.

    `target` appears only when all of it holds. Raises `ModelError` saying what does not, `RunError` when `target` exists.
    """
    if target.exists():
        raise RunError(f"{target} exists already: choose another --to.")
    partial = target.parent / f".{target.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with cache.disk_errors(target):
            partial.mkdir(parents=True)
            cache.require_space(
                partial, sum(p.numel() * p.element_size() for p in model.network.parameters()), f"Writing {target}"
            )
            model.network.save_pretrained(partial)
            model.tokenizer.save_pretrained(partial)
            for name, text in documents.items():
                (partial / name).write_text(text, encoding="utf-8")
            found = _prove(model, partial, sequences)
            partial.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return found


def _prove(model: Model, checkpoint: Path, sequences: Sequence[Sequence[int]]) -> Proof:
    probe = {f"{index:03d}": torch.tensor(tokens) for index, tokens in enumerate(sequences)}
    questions, answers = checkpoint / ".probe.safetensors", checkpoint / ".answers.safetensors"
    save_file(probe, questions)
    command = [sys.executable, "-m", "layercliff.models.proof", str(checkpoint), str(questions), str(answers)]
    command.append(str(torch.get_num_threads()))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ModelError(f"The checkpoint could not be loaded again in a fresh process ({last}): nothing was exported.")
    reloaded = load_file(answers)
    with safe_open(answers, "pt") as file:
        said = {name: json.loads(keys) for name, keys in file.metadata().items()}
    questions.unlink()
    answers.unlink()
    for kind, keys in said.items():
        if keys:
            raise ModelError(
                f"Reloading the checkpoint found {len(keys)} {kind.replace('_', ' ')} ({keys[0]} for one): nothing was exported."
            )
    here = proof.behaviour(model.network, probe)
    difference = max(float((here[f"{name}.logits"] - reloaded[f"{name}.logits"]).abs().max()) for name in probe)
    exact = model.weights_dtype == "float32" and model.device.type == "cpu"
    allowed = 0.0 if exact else 0.05 * max(float(here[f"{name}.logits"].abs().max()) for name in probe)
    if not difference <= allowed:
        raise ModelError(
            f"The reloaded checkpoint's logits differ by {difference:.1e} from the pruned model's: nothing was exported."
        )
    for name in probe:
        if not torch.equal(reloaded[f"{name}.cached"], reloaded[f"{name}.plain"]):
            raise ModelError(
                "The reloaded checkpoint generates something else with a cache than without: nothing was exported."
            )
    return Proof(len(probe), difference, True)
