"""Prune: which blocks can go, where the cliff is."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from layercliff import machine
from layercliff.choices import DType, Format, Normalisation, Sampler, Score
from layercliff.errors import ModelError, RunError
from layercliff.models.model import Model
from layercliff.progress import Note, Report, mute, silent
from layercliff.pruning import registry
from layercliff.pruning.brief import Brief
from layercliff.pruning.step import Chooser
from layercliff.readout import asked
from layercliff.readout.asked import Asked
from layercliff.report import page
from layercliff.results import pruned as results
from layercliff.results.assessed import Assessment
from layercliff.results.pruned import Pruned
from layercliff.results.stability import Split
from layercliff.store import Journal, RunDirectory
from layercliff.tasks import text as texts
from layercliff.tasks.question import Task
from layercliff.verbs import assess as assessing
from layercliff.verbs.subject import Setting
from layercliff.verbs.walk import Walk, accuracies, last_step


def prune(
    model: str | Model | PreTrainedModel,
    task: str | Task | Sequence[Task],
    *,
    remove: int | None = None,
    to_ratio: float | None = None,
    score: Score = "margin",
    protect: Sequence[int] = (),
    watch: str | Sequence[Task] = (),
    splits: int = 1,
    race: float | None = None,
    text: str | None = None,
    draws: int = 20,
    within: Sequence[int] | None = None,
    assess: bool = True,
    tokenizer: PreTrainedTokenizerBase | None = None,
    format: Format | None = None,
    shots: int = 0,
    sampler: Sampler = "fixed",
    limit: int | None = None,
    seed: int = 0,
    dtype: DType | None = None,
    weights_dtype: DType | None = None,
    device: str = "auto",
    normalisation: Normalisation = "char",
    chat: bool = False,
    batch_tokens: int | None = None,
    memory_bytes: int = 2**32,
    trust_remote_code: bool = False,
    skip_bad_rows: bool = False,
    out: str | Path | None = None,
    resume: bool = True,
    report: Report = silent,
    note: Note = mute,
) -> Pruned:
    """Remove one block after another, measuring every step on questions that took no part in the choice.

    `score` names the criterion (`layercliff criteria` lists them). The iterative ones (Shi et al. 2026) score the removal of every kept block
    outside of `protect` on the ``select`` half of the questions and remove the best (of equal ones the later block); the others are baselines.
    Each step's model is read at all its depths on the ``report`` half, and on the tasks of `watch`, which take no part in the choice. The path
    ends after `remove` blocks, at the share `to_ratio` of all blocks, or, with neither, when three steps in a row lie below the collapse line.

    `splits`: repeat the path over so many draws of the halves. `race`: drop candidates that are surely worse early; the number is the probability, over the
    whole path, of another choice than on all questions. `text`: what criteria that read text are given (default: the tasks' own questions
    with their answers). `draws`, `within`: of ``random``, how many paths, and the blocks they begin with. Up to `memory_bytes` of states are held at a time;
    what is kept from one step for the next changes no choice. `assess`: measure the size, speed, held-out perplexity and completions of the
    recommended step beside the dense model's. The other arguments are those of `layercliff.trace`.

    With `out`, results lie in ``DIR/prune/<score>/``; an interrupted path goes on where it stopped, a finished one is read, and a
    longer one begins with the steps of a shorter one. Without `resume`, what the directory holds of this path is removed first.

    **Returns** a `Pruned`. Raises `LayercliffError`, in one sentence.
    """
    begin = time.perf_counter()
    if splits < 1 or draws < 1:
        raise RunError(f"--splits {splits} and --draws {draws}: both are at least 1.")
    if race is not None and not 0 < race < 1:
        raise RunError(f"The error allowed to a race, {race}, is not between 0 and 1: give a probability such as 0.05.")
    setting = Setting.of(
        model, task, tokenizer=tokenizer, format=format, shots=shots, sampler=sampler, limit=limit, seed=seed, dtype=dtype,
        weights_dtype=weights_dtype, normalisation=normalisation, chat=chat, skip_bad_rows=skip_bad_rows, report=report,
    )  # fmt: skip
    watching = setting.beside(watch)
    passages = None if text is None else texts.load(text)
    wanted: dict[str, Any] = {
        "remove": remove, "to_ratio": to_ratio, "protect": sorted(protect), "watch": [f"{t.name} {t.digest}" for t in watching.tasks], "splits": splits,
        "race": race, "text": None if passages is None else texts.digest(passages),
        "draws": draws if score == "random" else None, "within": None if within is None else sorted(within), "assess": assess,
    }  # fmt: skip
    with ExitStack() as stack:
        run = journal = None
        if out is not None:
            run = RunDirectory(Path(out))
            stack.enter_context(run.lock())
            run.claim(setting.subject)
            for name in () if resume else (score, "journal.sqlite"):
                run.forget(f"{results.FOLDER}/{name}")
            if (kept := results.read(run, score)) is not None and kept.cost.get("wanted") == wanted:
                note(f"{run.path} holds this path already; it is read, not computed again.")
                page.write(run)
                return kept
            journal = stack.enter_context(Journal(run.path / results.FOLDER / "journal.sqlite"))
        loaded = setting.load(device, trust_remote_code, report)
        last = last_step(loaded.n_layers, remove, to_ratio, protect)
        parts = setting.ask(loaded)
        subject = setting.subject.model_dump()
        collapsed = remove is None and to_ratio is None

        def brief(halves: Sequence[Asked]) -> Brief:
            selected = tuple(part.of("select") for part in halves)
            own = tuple((p.task.name, asked.passages(loaded, asked.answered(p.task, p.questions))) for p in selected)
            given = own if passages is None else (("text", asked.passages(loaded, passages)),)
            return Brief(
                loaded, selected, given, tuple(sorted(protect)), last, seed, loaded.batch_tokens(batch_tokens), memory_bytes, race, journal,
                subject, report, note,
            )  # fmt: skip

        def walk(halves: Sequence[Asked], watched: Sequence[Asked]) -> Walk:
            measured = [part.of("report") for part in halves]
            return Walk(loaded, measured, watched, loaded.batch_tokens(batch_tokens), journal, subject, report, note)

        def chooser(given: Brief, draw: int = 0) -> Chooser:
            return registry.random_draw(given, draw, within) if score == "random" else registry.chooser(score, given)

        choosing, main = chooser(brief(parts)), walk(parts, watching.ask(loaded))
        steps, traces, watched = main.along(choosing, last, collapsed)
        choosers = [choosing]
        others: list[Split] = []
        for number in range(1, draws if score == "random" else splits):
            halves = parts if score == "random" else [part.split(seed, number) for part in parts]
            choosers.append(chooser(brief(halves), number if score == "random" else 0))
            there, found, _ = walk(halves, ()).along(choosers[-1], last, collapsed)
            others.append(Split.of(there, accuracies(found), found))
        cost = {
            "wanted": wanted,
            "device": str(loaded.device),
            "selection_block_passes": sum(c.passes for c in choosers),
            "selection_seconds": round(sum(c.seconds for c in choosers), 3),
            "report_seconds": [round(s, 3) for s in main.seconds],
            "seconds": round(time.perf_counter() - begin, 2),
            "peak_memory_bytes": machine.peak_memory_bytes(),
            "versions": machine.versions(),
        }
        n_select = sum(len(part.of("select").questions) for part in parts)
        pruned = Pruned(
            setting.subject, score, tuple(sorted(protect)), n_select, tuple(steps), tuple(traces), cost, tuple(watched), tuple(others), race
        )  # fmt: skip
        if assess and pruned.recommended:
            pruned = replace(pruned, assessment=_assessed(pruned, loaded, report, note))
        if run is not None:
            results.write(run, pruned)
            page.write(run)
    return pruned


def _assessed(pruned: Pruned, model: Model, report: Report, note: Note) -> Assessment | None:
    """The recommended step beside the dense model, or None, said, where the model's configuration cannot express it."""
    step = pruned.steps[pruned.recommended]
    try:
        return assessing.assess(model, step.kept, seed=pruned.subject.seed, blends=step.blends, report=report)
    except ModelError as error:
        note(f"The recommended step was not assessed: {error}")
        return None
