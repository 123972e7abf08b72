"""Prune: which blocks can go, where the cliff is."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from layercliff import machine
from layercliff.choices import Score
from layercliff.errors import ModelError, RunError
from layercliff.machine import out_of_memory
from layercliff.models import removable_blocks
from layercliff.models.model import Model
from layercliff.progress import Note, Report
from layercliff.pruning import assess as assessing
from layercliff.pruning import result as results
from layercliff.pruning.criterion import DEFAULT, Criterion, named
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.path import PathWalker, WalkedPath, accuracies, last_step
from layercliff.pruning.repeats import Split
from layercliff.pruning.result import Pruned
from layercliff.pruning.spec import PruneSpec
from layercliff.pruning.step import BlockSelector
from layercliff.readout import encoded_task
from layercliff.readout.encode import TokenRow
from layercliff.readout.encoded_task import EncodedTask
from layercliff.run.directory import JOURNAL, Journal, RunDirectory
from layercliff.run.resolved import Setting
from layercliff.run.subject import Subject, said
from layercliff.run.verb import verb
from layercliff.tasks import text as texts

LENGTH = {"remove", "to_ratio", "assess"}
"""Settings by which a longer path with an assessment can serve for a shorter one."""
CHOICE = ("protect", "text", "within", "race")
"""Settings that decide which blocks go."""


@verb(PruneSpec)
def prune(spec: PruneSpec) -> Pruned:
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
    longer one begins with the steps of a shorter one and serves where a shorter one is wanted. One whose blocks were chosen otherwise is not replaced, but refused. Without
    `resume`, what the directory holds of this path is removed first.

    **Returns** a `Pruned`. Raises `LayercliffError`, in one sentence.
    """
    begin = time.perf_counter()
    score, remove, to_ratio, seed = spec.criterion, spec.remove, spec.to_ratio, spec.seed
    splits, race, draws, within, protect = spec.splits, spec.race, spec.draws, spec.within, spec.protect
    batch_tokens, memory_bytes, report, note = spec.batch_tokens, spec.memory_bytes, spec.report, spec.note
    criterion = named(score)
    paths = _paths(criterion, splits, draws, race, protect, within)
    setting = Setting.of(spec, report=report)
    watching = setting.beside(spec.watch)
    passages = None if spec.text is None else texts.load(spec.text)
    wanted: dict[str, Any] = {
        "remove": remove, "to_ratio": to_ratio, "protect": sorted(protect), "watch": [f"{t.name} {t.digest}" for t in watching.tasks], "splits": splits,
        "race": race, "text": None if passages is None else texts.digest(passages),
        "draws": draws if criterion.drawn else None, "within": None if within is None else sorted(within), "assess": spec.assess,
    }  # fmt: skip
    with ExitStack() as stack:
        claimed = spec.out is not None and _claimed(Path(spec.out), setting.subject, score, spec.resume)
        run = stack.enter_context(claimed) if claimed else None
        if run is not None and (kept := _kept(run, score, wanted)) is not None:
            longer = "" if kept.cost["wanted"] == wanted else ", and further"
            note(f"{run.path} holds this path already{longer}; it is read, not computed again.")
            return kept
        journal = None if run is None else stack.enter_context(Journal(run.path / results.FOLDER / JOURNAL))
        loaded = setting.load(spec)
        stay, protected = _staying(loaded, protect, within, note)
        last = last_step(loaded.n_layers, remove, to_ratio, protected)
        parts, subject, budget = (
            setting.ask(loaded, note),
            setting.subject.model_dump(),
            loaded.batch_tokens(batch_tokens),
        )
        given = CriterionInput(
            loaded, (), (), protected, last, seed, budget, memory_bytes, race, journal, subject, report, note, 0, within
        )  # fmt: skip
        walker = PathWalker(loaded, (), watching.ask(loaded, note), budget, journal, subject, report, note)
        collapsed = remove is None and to_ratio is None
        walked = _Walks(criterion, given, walker, parts, passages, paths, collapsed).walk()
        cost = {
            "wanted": wanted,
            "stay": stay,
            "text": None if spec.text is None else texts.named(spec.text),
            "device": str(loaded.device),
            "selection_block_passes": walked.passes,
            "selection_seconds": round(walked.seconds, 3),
            "report_seconds": [round(s, 3) for s in walked.report_seconds],
            "seconds": round(time.perf_counter() - begin, 2),
            "peak_memory_bytes": machine.peak_memory_bytes(),
            "versions": machine.versions(),
        }
        path, n_select = walked.path, sum(len(part.of("select").questions) for part in parts)
        pruned = Pruned(
            setting.subject, score, protected, n_select, path.steps, path.traces, cost, path.watched, walked.others, race
        )  # fmt: skip
        if run is not None:
            results.write(run, pruned)  # at once: what can fail below loses nothing
        if spec.assess and pruned.recommended:
            pruned = _assessed(pruned, loaded, run, report, note)
    return pruned


@contextmanager
def _claimed(out: Path, subject: Subject, score: str, resume: bool) -> Iterator[RunDirectory]:
    """The run directory, locked and this subject's; without `resume`, what it holds of this path is removed."""
    run = RunDirectory(out)
    with run.lock():
        run.claim(subject)
        for name in () if resume else (score, JOURNAL):
            run.forget(f"{results.FOLDER}/{name}")
        yield run


@dataclass(frozen=True)
class _Walked:
    """A path and its repetitions; block passes and seconds of all choices, seconds of measuring the path itself."""

    path: WalkedPath
    others: tuple[Split, ...]
    passes: int
    seconds: float
    report_seconds: Sequence[float]


@dataclass(frozen=True)
class _Walks:
    """A path and its repetitions, to be walked `paths` times. `given` and `walker` are without any questions yet."""

    criterion: Criterion
    given: CriterionInput
    walker: PathWalker
    parts: Sequence[EncodedTask]
    passages: Sequence[str] | None
    paths: int
    collapsed: bool

    def walk(self) -> _Walked:
        """Walk them all: over random draws on the same halves, or over draws of the halves."""
        path, selector, walker = self._one(0)
        passes, seconds, others = selector.passes, selector.seconds, []
        del selector  # and the states it holds
        for number in range(1, self.paths):
            again, selector, _ = self._one(number)
            passes, seconds = passes + selector.passes, seconds + selector.seconds
            others.append(Split.of(again.steps, accuracies(again.traces), again.traces))
            del selector
        return _Walked(path, tuple(others), passes, seconds, walker.seconds)

    def _one(self, number: int) -> tuple[WalkedPath, BlockSelector, PathWalker]:
        same = number == 0 or self.criterion.drawn
        halves = self.parts if same else [part.split(self.given.seed, number) for part in self.parts]
        selected = tuple(part.of("select") for part in halves)
        selector = self.criterion.make(
            replace(self.given, asked=selected, text=self._text(selected), draw=number if self.criterion.drawn else 0)
        )
        walker = replace(
            self.walker,
            measured=[part.of("report") for part in halves],
            watched=() if number else self.walker.watched,
            turn=(number, self.paths),
        )
        return walker.walk(selector, self.given.steps, self.collapsed), selector, walker

    def _text(self, selected: Sequence[EncodedTask]) -> tuple[tuple[str, tuple[TokenRow, ...]], ...]:
        """The text that was given; of none, the tasks' own questions with their answers."""
        if self.passages is not None:
            return (("text", encoded_task.read_text(self.given.model, self.passages)),)
        return tuple(
            (part.task.name, encoded_task.passages(self.given.model, encoded_task.answered(part.task, part.questions)))
            for part in selected
        )


def _paths(
    criterion: Criterion,
    splits: int,
    draws: int,
    race: float | None,
    protect: Sequence[int],
    within: Sequence[int] | None,
) -> int:
    """How many paths are walked. Raises `RunError` for what cannot be asked for, before anything is loaded."""
    if within is not None and not within:
        raise RunError("The option --within names no block: leave it out.")
    if within is not None and not criterion.drawn:
        raise RunError(
            f"--within {', '.join(map(str, within))}: only the criterion random begins with given blocks; leave it out, "
            "or use --criterion random."
        )
    if race is not None and not criterion.raced:
        why = "scores them on everything" if criterion.iterative else "does not score them anew"
        raise RunError(
            f"--race drops candidates at every step, and {criterion.name} {why}: leave it out, or use --criterion {DEFAULT}."
        )
    if splits > 1 and criterion.drawn:
        raise RunError(
            f"--splits {splits}: the criterion {criterion.name} is repeated over --draws, on the same halves: use that."
        )
    return draws if criterion.drawn else splits


def _staying(
    model: Model, protect: Sequence[int], within: Sequence[int] | None, note: Note
) -> tuple[str | None, tuple[int, ...]]:
    """A sentence on blocks that have to stay, if there are any, and all blocks that are protected.

    Raises `ModelError` where every block has to stay, and `RunError` for `within` where its blocks are not there or none
    of them may go.
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


def _kept(run: RunDirectory, score: Score, wanted: Mapping[str, Any]) -> Pruned | None:
    """The finished path that a run directory holds, where it is the one that is wanted, or begins with it.

    Raises `RunError` where it would be replaced by one whose blocks are chosen otherwise. What a race drops depends on
    how long the path may become.
    """
    kept = results.read(run, score)
    if kept is None or _serves(kept, wanted):
        return kept
    had = kept.cost.get("wanted", {})
    decisive = (*CHOICE, "remove", "to_ratio") if wanted["race"] is not None else CHOICE
    other = [name for name in decisive if name in had and had[name] != wanted[name]]
    if other:
        phrases = [f"{name} is {said(had[name])} there and {said(wanted[name])} here" for name in other]
        raise RunError(
            f"{run.path} holds another path by {kept.score}: {'; '.join(phrases)}. "
            "Give --fresh to replace it, or choose another --out."
        )
    return None


def _serves(kept: Pruned, wanted: Mapping[str, Any]) -> bool:
    """Whether a finished path is the one that is wanted, or begins with it; a raced one serves only itself."""
    had = kept.cost.get("wanted")
    if had is None or any(had.get(name) != wanted[name] for name in wanted.keys() - LENGTH):
        return False
    if wanted["assess"] and kept.recommended and not (kept.assessment or "not_assessed" in kept.cost):
        return False
    if all(had[name] == wanted[name] for name in LENGTH - {"assess"}):
        return True
    if (wanted["remove"] is None and wanted["to_ratio"] is None) or wanted["race"] is not None:
        return False
    last = last_step(kept.n_layers, wanted["remove"], wanted["to_ratio"], kept.protected)
    return kept.gone(len(kept.steps) - 1) >= last


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
        pruned = replace(pruned, cost={**pruned.cost, "not_assessed": str(error)})
    else:
        pruned = replace(pruned, assessment=found)
    if run is not None:
        results.write(run, pruned)
    return pruned
