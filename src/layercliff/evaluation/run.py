"""Evaluate a model on benchmarks, as lm-evaluation-harness does, from one pass.

The pass shares what options and questions have in common.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl

from layercliff.choices import Depths
from layercliff.errors import RunError
from layercliff.evaluation import harness_files
from layercliff.evaluation import result as results
from layercliff.evaluation.result import LAYERWISE, Evaluated
from layercliff.evaluation.spec import EvaluateSpec
from layercliff.readout.batches import Batch
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.read import Reading
from layercliff.run.directory import RunDirectory
from layercliff.run.passes import Pass
from layercliff.run.resolved import ResolvedRun
from layercliff.run.session import Session, session
from layercliff.run.verb import verb
from layercliff.tasks import prompts


@verb(EvaluateSpec, page=False)
def evaluate(spec: EvaluateSpec) -> Evaluated:
    """Accuracy on benchmarks by the options' log-likelihoods: the sum, and the sum by characters, bytes and tokens.

    `model` and `tasks` are named as for `layercliff.trace`. `limit` keeps the first questions of each task's file, and
    of each subject where a task has subjects (MMLU). These are the first before a shuffle, as in lm-evaluation-harness.
    `format` is ``cloze``, which scores the options' texts, or ``letter``, which shows the options and scores their
    letters. The default is each task's own, and ``cloze`` where that is ``first_token``. Every option is scored over
    all of its tokens under the whole vocabulary. It is scored at the last depth and, through the logit lens, at
    `depths` beside it (``"all"`` for every one). `sampler` says which `shots` worked examples stand before a question:
    ``per_item`` and ``first_n`` are lm-evaluation-harness's.

    `against` is another model's evaluation. That it asked the same is checked before anything is run. With `out` the
    comparison is kept.

    With `out`, finished batches survive a crash, and finished results are read instead of computed. Without `resume`,
    both are removed first.

    Returns:
        The options' log-likelihoods and the accuracies with standard errors and intervals.

    Raises:
        LayercliffError: For what cannot be used, in one sentence.
    """
    setting = ResolvedRun.of(spec, order="file", whole=True, report=spec.report)
    against = spec.against
    if isinstance(against, str | Path):
        against = results.open_evaluation(Path(against))
    if against is not None:
        ids = [[question.id for question in questions] for questions, _ in setting.drawn]
        asked_there = {task.name: of for task, of in zip(setting.tasks, ids, strict=True)}
        against.must_match(setting.subject, asked_there)
    read = partial(_read, wanted=spec.depths)
    with session(spec, results.FOLDER, {}, read, lambda _: {}, setting=setting) as this:
        evaluated = this.kept or _evaluated(spec, this)
        if this.run is not None and this.kept is None:
            harness_files.write(this.run, evaluated)
            results.write(this.run, evaluated)
    if this.run is not None and against is not None:
        results.write_against(this.run, evaluated, against)
    return evaluated


def _read(run: RunDirectory, wanted: Depths) -> Evaluated | None:
    """What a run directory holds, if it was read at all depths that are wanted."""
    kept = results.read(run)
    return kept if kept is not None and _holds(kept, wanted) else None


def _evaluated(spec: EvaluateSpec, this: Session[Evaluated]) -> Evaluated:
    """Read the options at the depths that are wanted."""
    loaded, setting = this.model, this.setting
    read = _depths(spec.depths, loaded.n_layers)
    asked = setting.ask(loaded, spec.note)
    reading = Pass(loaded, setting.subject, this.journal, spec.report, spec.note, depths=read)
    parts = reading.readings(asked, loaded.batch_tokens(spec.batch_tokens))
    table = pl.concat([_options(part, readings, read) for part, readings in parts])
    cost = {
        "device": str(loaded.device),
        "questions": {task.name: len(task.questions) for task in setting.tasks},
        **reading.cost(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **this.spent(),
    }
    about = {part.task.name: part.about for part in asked}
    settings = results.EvaluationSettings(depths="all" if spec.depths == "all" else list(read))
    last = table.filter(depth=loaded.n_layers).drop("depth")
    return Evaluated(setting.subject, last, about, settings, cost, table.select(*LAYERWISE))


def _depths(wanted: Depths, n_layers: int) -> tuple[int, ...]:
    """The depths to read, the last one among them."""
    if wanted == "all":
        return tuple(range(n_layers + 1))
    if unknown := [depth for depth in wanted if not 0 <= depth <= n_layers]:
        raise RunError(f"There is no depth {unknown[0]}: the model has depths 0 (the embeddings) to {n_layers}.")
    return tuple(sorted({*wanted, n_layers}))


def _holds(kept: Evaluated, wanted: Depths) -> bool:
    """Whether an evaluation was read at all depths that are wanted."""
    read = kept.settings.depths
    return read == "all" or (wanted != "all" and set(wanted) <= set(read))


def _options(part: EncodedTask, readings: Iterable[tuple[Batch, Reading]], depths: Sequence[int]) -> pl.DataFrame:
    """A task's options with their log-likelihoods at each of `depths`, in the order asked."""
    rows: list[dict[str, Any]] = []
    for batch, reading in readings:
        for (at, depth), (number, row) in product(enumerate(depths), enumerate(batch.rows)):
            assert row.option is not None
            question, prompt = part.questions[row.question], part.prompts[row.question]
            text = prompts.scored(part.task, question, part.form)[row.option]
            rows.append(
                {
                    "depth": depth,
                    "task": part.task.name,
                    "question": row.question,
                    "id": question.id,
                    "group": question.group,
                    "option": row.option,
                    "gold": row.option == question.gold,
                    "context": prompt.contexts[row.option],
                    "continuation": prompt.continuations[row.option],
                    "log_likelihood": float(reading.scores[at, number, 0]),
                    "greedy": bool(reading.greedy[at, number]),
                    "tokens": len(row.targets),
                    "characters": len(text),
                    "bytes": len(text.encode()),
                }
            )
    return pl.DataFrame(rows).sort("depth", "question", "option")
