"""Prune: which blocks can go, where the cliff is."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from layercliff import machine
from layercliff.errors import ModelError, RunError
from layercliff.machine import out_of_memory
from layercliff.models import removable_blocks
from layercliff.models.model import Model
from layercliff.progress import Note, Report
from layercliff.pruning import assess as assessing
from layercliff.pruning import result as results
from layercliff.pruning import reuse
from layercliff.pruning.criterion import DEFAULT, Criterion, named
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.path import last_step
from layercliff.pruning.repeated_path import Paths, RepeatedPath
from layercliff.pruning.result import Pruned
from layercliff.pruning.shapes import PruneSettings
from layercliff.pruning.spec import PruneSpec
from layercliff.run.directory import JOURNAL, Journal, RunDirectory
from layercliff.run.resolved import ResolvedRun
from layercliff.run.subject import Subject
from layercliff.run.verb import verb
from layercliff.tasks import text as texts


@verb(PruneSpec)
def prune(spec: PruneSpec) -> Pruned:
    """Remove one block after another, measuring every step on questions that took no part in the choice.

    `criterion` names what blocks are chosen by (`layercliff criteria` lists them). An iterative one (Shi et al. 2026)
    scores the removal of every kept block on the ``select`` half of the questions, and removes the best. Each step's
    model is read at all its depths on the ``report`` half, and on the tasks of `watch`.

    The path ends after `remove` blocks, or at the share `to_ratio` of all blocks. With neither, it ends when three
    steps in a row lie below the collapse line. With `race`, choices differ from those on all questions with that
    probability at most, over the whole path. What is kept within `memory_bytes` changes no choice.

    With `out`, results lie in ``DIR/prune/<criterion>/``. An interrupted path goes on where it stopped, and a finished
    one is read. A longer one begins with the steps of a shorter one, and serves where a shorter one is wanted. One
    whose blocks were chosen otherwise is not replaced, but refused. Without `resume`, it is removed first.

    Returns:
        A `Pruned`.

    Raises:
        LayercliffError: For what cannot be used, in one sentence.
    """
    begin = time.perf_counter()
    criterion = named(spec.criterion)
    paths = _paths(spec, criterion)
    setting = ResolvedRun.of(spec, report=spec.report)
    watching = setting.beside(spec.watch)
    passages = None if spec.text is None else texts.load(spec.text)
    wanted = reuse.settings(spec, criterion, [f"{t.name} {t.digest}" for t in watching.tasks], passages)
    with ExitStack() as stack:
        run = journal = None
        if spec.out is not None:
            run = stack.enter_context(_claimed(Path(spec.out), setting.subject, spec))
            if (kept := reuse.stored(run, spec.criterion, wanted)) is not None:
                longer = "" if kept.settings and kept.settings.raw() == wanted else ", and further"
                spec.note(f"{run.path} holds this path already{longer}; it is read, not computed again.")
                return kept
            journal = stack.enter_context(Journal(run.path / results.FOLDER / JOURNAL))
        loaded = setting.load(spec)
        stay, protected = _staying(loaded, spec.protect, spec.within, spec.note)
        last = last_step(loaded.n_layers, spec.remove, spec.to_ratio, protected)
        parts = setting.ask(loaded, spec.note)
        given = CriterionInput(
            loaded, (), (), protected, last, spec.seed, loaded.batch_tokens(spec.batch_tokens), spec.memory_bytes,
            spec.race, journal, setting.subject.model_dump(), spec.report, spec.note, within=spec.within,
        )  # fmt: skip
        collapsed = spec.remove is None and spec.to_ratio is None
        walks = Paths(criterion, given, parts, watching.ask(loaded, spec.note), passages, paths, collapsed)
        walked = walks.walk()
        cost = _cost(walked, loaded) | {"seconds": round(time.perf_counter() - begin, 2)}
        pruned = Pruned(
            setting.subject, spec.criterion, protected, sum(len(part.of("select").questions) for part in parts),
            walked.path.steps, walked.path.traces, cost, walked.path.watched, walked.others, spec.race,
            settings=PruneSettings(**wanted), text=None if spec.text is None else texts.named(spec.text), stay=stay,
        )  # fmt: skip
        if run is not None:
            results.write(run, pruned)  # at once: what can fail below loses nothing
        if spec.assess and pruned.recommended:
            pruned = _assessed(pruned, loaded, run, spec.report, spec.note)
    return pruned


@contextmanager
def _claimed(out: Path, subject: Subject, spec: PruneSpec) -> Iterator[RunDirectory]:
    """The run directory, locked and this subject's. Without `resume`, what it holds of this path is removed."""
    run = RunDirectory(out)
    with run.lock():
        run.claim(subject)
        for name in () if spec.resume else (spec.criterion, JOURNAL):
            run.forget(f"{results.FOLDER}/{name}")
        yield run


def _cost(walked: RepeatedPath, model: Model) -> dict[str, Any]:
    """What a path took."""
    return {
        "device": str(model.device),
        "selection_block_passes": walked.passes,
        "selection_seconds": round(walked.seconds, 3),
        "report_seconds": [round(s, 3) for s in walked.report_seconds],
        "peak_memory_bytes": machine.peak_memory_bytes(),
        "versions": machine.versions(),
    }


def _paths(spec: PruneSpec, criterion: Criterion) -> int:
    """How many paths are walked. Raises `RunError` for what cannot be asked for, before anything is loaded."""
    within, name = spec.within, criterion.name
    if within is not None and not within:
        raise RunError("The option --within names no block: leave it out.")
    if within is not None and not criterion.drawn:
        raise RunError(
            f"--within {', '.join(map(str, within))}: only the criterion random begins with given blocks; leave it "
            "out, or use --criterion random."
        )
    if spec.race is not None and not criterion.raced:
        why = "scores them on everything" if criterion.iterative else "does not score them anew"
        raise RunError(
            f"--race drops candidates at every step, and {name} {why}: leave it out, or use --criterion {DEFAULT}."
        )
    if spec.splits > 1 and criterion.drawn:
        raise RunError(
            f"--splits {spec.splits}: the criterion {name} is repeated over --draws, on the same halves: use that."
        )
    return spec.draws if criterion.drawn else spec.splits


def _staying(
    model: Model, protect: Sequence[int], within: Sequence[int] | None, note: Note
) -> tuple[str | None, tuple[int, ...]]:
    """A sentence on blocks that have to stay, if there are any, and all blocks that are protected.

    Raises `ModelError` where every block has to stay, and `RunError` where blocks of `within` are not there, or none of
    them may go.
    """
    removal = removable_blocks.removable_blocks(model)
    if said := str(removal):
        note(said)
    protected = tuple(sorted({*protect, *removal.stay}))
    model.anatomy.wiring.check_protected(protected)
    if unknown := [block for block in within or () if block >= model.n_layers]:
        raise RunError(f"Block {unknown[0]} cannot go first (--within): the model has blocks 0-{model.n_layers - 1}.")
    if within is not None and set(within) <= set(protected):
        raise RunError("All blocks of --within have to stay, or are those of --protect: leave one of the two out.")
    return said or None, protected


def _assessed(pruned: Pruned, model: Model, run: RunDirectory | None, report: Report, note: Note) -> Pruned:
    """The path with its recommended step beside the dense model.

    Without it, and said, where the model cannot express the step or be held twice.
    """
    step = pruned.steps[pruned.recommended]
    try:
        found = assessing.assess(model, step.kept, seed=pruned.subject.seed, blends=step.blends, report=report)
    except (ModelError, torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not isinstance(error, ModelError) and not out_of_memory(error):
            raise
        note(f"The recommended step was not assessed: {error}")
        pruned = replace(pruned, not_assessed=str(error))
    else:
        pruned = replace(pruned, assessment=found)
    if run is not None:
        results.write(run, pruned)
    return pruned
