"""Compare criteria: the same model, questions and measurements, a path per criterion."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from layercliff import limits
from layercliff.comparison import result as compared
from layercliff.errors import RunError
from layercliff.models.model import Model
from layercliff.progress import Note, Report, mute, silent
from layercliff.pruning.criterion import named
from layercliff.pruning.result import Pruned
from layercliff.pruning.run import prune
from layercliff.report import page
from layercliff.run.directory import RunDirectory
from layercliff.run.resolved import Setting
from layercliff.tasks.question import Task

DEFAULTS = {
    "tokenizer": None, "format": None, "shots": 0, "sampler": "fixed", "limit": None, "seed": 0, "dtype": None, "weights_dtype": None,
    "normalisation": "char", "chat": False, "skip_bad_rows": False,
}  # fmt: skip
"""What a run is about, where `compare` is not told otherwise."""


def compare(
    model: str | Model | PreTrainedModel,
    task: str | Task | Sequence[Task],
    criteria: Sequence[str],
    *,
    out: str | Path,
    remove: int | None = None,
    to_ratio: float | None = None,
    device: str = "auto",
    trust_remote_code: bool = False,
    report: Report = silent,
    note: Note = mute,
    **options: Any,
) -> list[Pruned]:
    """Walk a path by each of `criteria` on the same halves of the same questions, and put them on one figure and in one table.

    Paths end after `remove` blocks or at the share `to_ratio` (default: half of the blocks); a longer path that is there already is taken as it is. `options` are the
    other arguments of `layercliff.prune`; a race is for criteria that score candidates anew at every step. Results lie in ``DIR/prune/<criterion>/`` as that verb leaves them, and the tables in ``DIR/compare/``: accuracy per
    criterion and step with intervals and the paired difference to the first criterion, and block passes and seconds of choosing.

    **Returns** a `Pruned` per criterion. Raises `LayercliffError`, of an unknown criterion with the nearest known one.
    """
    known = {name: named(name) for name in criteria}
    if len(set(criteria)) < 2:
        raise RunError(
            f"{', '.join(criteria) or 'Nothing'} cannot be compared with itself: name at least two criteria."
        )
    numbers = ("splits", "draws", "race", "batch_tokens", "memory_bytes")
    limits.check(remove=remove, to_ratio=to_ratio, **{name: options.get(name) for name in numbers})
    for name in ("protect", "within"):
        limits.check_each(name, "block", options.get(name) or ())
    about: dict[str, Any] = {**DEFAULTS, **{name: options[name] for name in DEFAULTS if name in options}}
    setting = Setting.of(model, task, report=report, **about)
    run = RunDirectory(Path(out))
    with run.lock():
        run.claim(setting.subject)
    ratio = 0.5 if remove is None and to_ratio is None else to_ratio
    loaded = setting.load(device, trust_remote_code, report)
    found = []
    with page.once(run):
        for number, criterion in enumerate(criteria):
            report(f"criteria ({criterion})", number, len(criteria))
            without = {} if known[criterion].raced else {"race": None}
            found.append(
                prune(
                    loaded,
                    setting.tasks,
                    score=criterion,
                    remove=remove,
                    to_ratio=ratio,
                    out=out,
                    report=report,
                    note=note,
                    **({"assess": False} | options | without),
                )
            )
        report("criteria", len(criteria), len(criteria))
        with run.lock():
            compared.write(run, found)
    return found
