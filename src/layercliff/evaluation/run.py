"""Evaluate a model on benchmarks, as lm-evaluation-harness does, from one pass that shares what options and questions have in common."""

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from layercliff import limits, machine
from layercliff.choices import Depths, DType, Sampler, Scored
from layercliff.errors import RunError
from layercliff.evaluation import harness_files
from layercliff.evaluation import result as results
from layercliff.evaluation.result import LAYERWISE, Evaluated
from layercliff.models.model import Model
from layercliff.progress import Note, Report, mute, silent
from layercliff.readout.batches import Batch
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.read import Reading
from layercliff.run.directory import JOURNAL, Journal, RunDirectory
from layercliff.run.passes import Pass
from layercliff.run.resolved import Setting
from layercliff.tasks import prompts
from layercliff.tasks.question import Task


def evaluate(
    model: str | Model | PreTrainedModel,
    tasks: str | Task | Sequence[Task],
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    format: Scored | None = None,
    shots: int = 0,
    sampler: Sampler = "per_item",
    limit: int | None = None,
    seed: int = 0,
    dtype: DType | None = None,
    weights_dtype: DType | None = None,
    device: str = "auto",
    chat: bool = False,
    batch_tokens: int | None = None,
    trust_remote_code: bool = False,
    skip_bad_rows: bool = False,
    depths: Depths = (),
    against: Evaluated | None = None,
    out: str | Path | None = None,
    resume: bool = True,
    report: Report = silent,
    note: Note = mute,
) -> Evaluated:
    """Accuracy on benchmarks by the options' log-likelihoods: the sum, and the sum by characters, bytes and tokens.

    `model` and `tasks` are named as for `layercliff.trace`. `limit` keeps the first questions of each task's file, of each subject where a
    task has subjects (MMLU), as lm-evaluation-harness does, and not those after a shuffle. `format` is ``cloze``, which scores the options' texts, or ``letter``, which shows the options and
    scores their letters (default: each task's own, ``cloze`` where that is ``first_token``); every option is scored over all of its tokens under the whole vocabulary, at the last depth and, through the logit lens, at `depths` beside it (``"all"`` for
    every one). `sampler` says which
    `shots` worked examples stand before a question: ``per_item`` and ``first_n`` are lm-evaluation-harness's.

    `against` is another model's evaluation: that it asked the same is checked before anything is run, and with `out` the comparison is kept.

    With `out`, finished batches survive a crash and finished results are read instead of computed; without `resume`, both are removed first.

    **Returns** the options' log-likelihoods and the accuracies with standard errors and intervals. Raises `LayercliffError`.
    """
    begin = time.perf_counter()
    limits.check(batch_tokens=batch_tokens)
    limits.check_each("depths", "depth", () if depths == "all" else depths)
    setting = Setting.of(
        model, tasks, tokenizer=tokenizer, format=format, shots=shots, sampler=sampler, limit=limit, seed=seed, dtype=dtype, weights_dtype=weights_dtype,
        normalisation="sum", chat=chat, skip_bad_rows=skip_bad_rows, report=report, order="file", whole=True,
    )  # fmt: skip
    if against is not None:
        ids = [[question.id for question in questions] for questions, _ in setting.drawn]
        against.must_match(setting.subject, {task.name: of for task, of in zip(setting.tasks, ids, strict=True)})
    with ExitStack() as stack:
        run = journal = None
        if out is not None:
            run = RunDirectory(Path(out))
            stack.enter_context(run.lock())
            run.claim(setting.subject)
            if not resume:
                run.forget(results.FOLDER)
            if (kept := results.read(run)) is not None and _holds(kept, depths):
                note(f"{run.path} holds this evaluation already; it is read, not computed again.")
                run.settle(results.FOLDER)
                if against is not None:
                    results.write_against(run, kept, against)
                return kept
            journal = stack.enter_context(Journal(run.path / results.FOLDER / JOURNAL))
        loaded = setting.load(device, trust_remote_code, report)
        read = _depths(depths, loaded.n_layers)
        asked = setting.ask(loaded, note)
        reading = Pass(loaded, setting.subject, journal, report, note, depths=read)
        parts = reading.readings(asked, loaded.batch_tokens(batch_tokens))
        table = pl.concat([_options(part, readings, read) for part, readings in parts])
        cost = {
            "device": str(loaded.device),
            "questions": {task.name: len(task.questions) for task in setting.tasks},
            "depths": depths if depths == "all" else list(read),
            **reading.cost(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - begin, 2),
            "peak_memory_bytes": machine.peak_memory_bytes(),
            "versions": machine.versions(),
        }
        about = {part.task.name: part.about for part in asked}
        last = table.filter(depth=loaded.n_layers).drop("depth")
        evaluated = Evaluated(setting.subject, last, about, cost, table.select(*LAYERWISE))
        if run is not None and journal is not None:
            harness_files.write(run, evaluated)
            results.write(run, evaluated)
            journal.remove()
            if against is not None:
                results.write_against(run, evaluated, against)
    return evaluated


def _depths(wanted: Depths, n_layers: int) -> tuple[int, ...]:
    """The depths to read, the last one among them."""
    if wanted == "all":
        return tuple(range(n_layers + 1))
    if unknown := [depth for depth in wanted if not 0 <= depth <= n_layers]:
        raise RunError(f"There is no depth {unknown[0]}: the model has depths 0 (the embeddings) to {n_layers}.")
    return tuple(sorted({*wanted, n_layers}))


def _holds(kept: Evaluated, wanted: Depths) -> bool:
    """Whether an evaluation was read at all depths that are wanted."""
    if wanted == "all" or kept.cost["depths"] == "all":
        return bool(kept.cost["depths"] == "all")
    return set(wanted) <= set(kept.cost["depths"])


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
