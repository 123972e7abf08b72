"""The command line that makes a path again."""

import shlex
from inspect import signature
from typing import Any

from layercliff.pruning.result import Pruned
from layercliff.pruning.run import prune


def command(pruned: Pruned, out: str, trust_remote_code: bool = False) -> str:
    """``layercliff prune`` with the options that `pruned` was made with and that differ from their defaults.

    A task is named as it was, a file of text without its directory. A format is said where all tasks have the same one.
    Neither device nor memory is, which decide no choice.
    """
    subject, wanted = pruned.subject, pruned.settings.raw() if pruned.settings else {}
    formats = {task.format for task in subject.tasks}
    said: dict[str, Any] = {
        "model": subject.model,
        "task": ",".join(task.asked_for or task.name for task in subject.tasks),
        "criterion": pruned.criterion_name,
        **wanted,
        "watch": ",".join(_watched(pruned, name.rpartition(" ")[0]) for name in wanted.get("watch", ())),
        "text": text(pruned),
        "format": formats.pop() if len(formats) == 1 else None,
        "shots": subject.shots,
        "sampler": subject.sampler,
        "limit": subject.limit,
        "seed": subject.seed,
        "dtype": None if subject.dtype == "float32" else subject.dtype,
        "weights_dtype": None if subject.weights_dtype == subject.dtype else subject.weights_dtype,
        "chat": subject.chat,
        "skip_bad_rows": any(task.skipped for task in pruned.traces[0].tasks.values()),
        "trust_remote_code": trust_remote_code,
    }
    words = ["layercliff", "prune"]
    for name, value in said.items():
        default = signature(prune).parameters[name].default
        if value is not None and value not in (default, [], ""):
            words += _option(name.replace("_", "-"), value)
    return shlex.join([*words, "--out", out])


def text(pruned: Pruned) -> str | None:
    """What `pruned` was given to read, by its name. Paths of earlier versions keep its fingerprint alone."""
    return (pruned.text or "FILE") if pruned.settings and pruned.settings.text else None


def _watched(pruned: Pruned, name: str) -> str:
    """A file of questions by its path, as `layercliff.tasks.registry` reads it; others by name."""
    source = pruned.watched[0].tasks[name].source
    return source if source.lower().endswith((".jsonl", ".csv")) else name


def _option(name: str, value: object) -> list[str]:
    if value is True:
        return [f"--{name}"]
    if value is False:
        return [f"--no-{name}"]
    return [f"--{name}", ",".join(map(str, value)) if isinstance(value, list) else str(value)]
