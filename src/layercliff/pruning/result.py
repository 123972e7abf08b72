"""A pruning path in a run directory: ``prune/<criterion>/`` with the path, tables, and every step's scores."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from layercliff import former_names
from layercliff.analyses.trace import result as traced
from layercliff.analyses.trace import tables as trace_tables
from layercliff.metrics import collapse as falling
from layercliff.metrics import decision
from layercliff.metrics.analysis import Analysis, analyse
from layercliff.metrics.collapse import Collapse, Harmless
from layercliff.metrics.intervals import difference_interval
from layercliff.metrics.statistics import RESAMPLES, Resamples
from layercliff.models import merged_blocks
from layercliff.pruning import criterion as criteria
from layercliff.pruning import path_file
from layercliff.pruning import tables as path_tables
from layercliff.pruning.assessment import Assessment
from layercliff.pruning.criterion import Description
from layercliff.pruning.repeats import PathRepeat, Stability
from layercliff.pruning.shapes import (
    PathCost,
    PathSummary,
    PerhapsAssessed,
    PruneSettings,
    Repetitions,
    StepSettings,
)
from layercliff.pruning.step import Step
from layercliff.readout.trace import Trace, TracedTask
from layercliff.run import stored_files
from layercliff.run.directory import RunDirectory
from layercliff.run.stored_files import StoredFolder
from layercliff.run.subject import Subject

FOLDER = "prune"
BESIDE_COST = ("wanted", "text", "stay", "not_assessed")
"""What is no cost in ``cost.json``."""
MARGIN = 0.05  # a loss of accuracy below this is called harmless


@former_names.attributes(score="criterion_name")
@dataclass(frozen=True)
class Pruned:
    """A path with what every step's model does on the report half.

    Attributes:
        subject: What the run is about.
        criterion_name: What blocks were chosen by.
        protected: Dense indices of blocks that stay.
        n_select: Questions that blocks were chosen on.
        steps: From the dense model on.
        traces: [step] One row per depth of the step's model: n kept blocks give n + 1 rows.
        cost: Machine, block passes, seconds, memory and versions.
        watched: [step] The same of tasks that took no part in the choice.
        others: Repetitions of the path.
        race: The error allowed to a race, if there was one.
        assessment: Of the recommended step.
        described: What was stored of the criterion.
        settings: Those of the path. None in older directories.
        text: Name of the text that was read, if any.
        stay: Which blocks have to stay, in words.
        not_assessed: Why there is no assessment.
    """

    subject: Subject
    criterion_name: str
    protected: tuple[int, ...]
    n_select: int
    steps: tuple[Step, ...]
    traces: tuple[Trace, ...]
    cost: Mapping[str, Any]
    watched: tuple[Trace, ...] = ()
    others: tuple[PathRepeat, ...] = ()
    race: float | None = None
    assessment: Assessment | None = None
    described: Description | None = None
    settings: PruneSettings | None = None
    text: str | None = None
    stay: str | None = None
    not_assessed: str | None = None

    @property
    def criterion(self) -> Description:
        """What there is to say of the criterion."""
        return self.described or criteria.named(self.criterion_name)

    @property
    def n_layers(self) -> int:
        """L of the dense model."""
        return len(self.steps[0].kept)

    @cached_property
    def analyses(self) -> tuple[Mapping[str, Analysis], ...]:
        """Per step, the analysis of each task and ``joint``."""
        return tuple(analyse(trace, RESAMPLES, self.subject.seed) for trace in self.traces)

    def gone(self, step: int) -> int:
        """How many blocks are removed by a step.

        Args:
            step: From 0 (dense).

        Returns:
            A number of blocks.
        """
        return self.n_layers - len(self.steps[step].kept)

    def holds(self, settings: StepSettings) -> bool:
        """Whether the steps that an analysis looked at are those of this path as it is now.

        Args:
            settings: Those of the analysis.

        Returns:
            False where criterion or blocks differ.
        """
        own = {str(number): list(step.kept) for number, step in enumerate(self.steps)}
        return settings.criterion == self.criterion_name and settings.steps.items() <= own.items()

    @property
    def limited(self) -> bool:
        """Whether the path ends where it was told to; else beyond the collapse, or where no other block can go."""
        return self.settings is not None and (self.settings.remove is not None or self.settings.to_ratio is not None)

    @cached_property
    def watched_analyses(self) -> tuple[Mapping[str, Analysis], ...]:
        """Per step, the analysis of each watched task."""
        return tuple(
            {name: analyse(t.of(name), RESAMPLES, self.subject.seed)[name] for name in t.tasks} for t in self.watched
        )

    @cached_property
    def stability(self) -> Stability | None:
        """All repetitions of the path compared, this one first; None where it was walked once."""
        if not self.others:
            return None
        accuracy = tuple(float(a) for a in self.correct.mean(1))
        return Stability.of(
            (PathRepeat(tuple(s.kept for s in self.steps), accuracy, self.main(0).chance), *self.others)
        )

    def main(self, step: int) -> Analysis:
        """The analysis of a step over all its questions.

        Args:
            step: From 0 (dense).

        Returns:
            That of the only task, or ``joint``.
        """
        found = self.analyses[step]
        return found.get("joint") or next(iter(found.values()))

    @cached_property
    def correct(self) -> np.ndarray:
        """Right answers of every step at its last depth, ``[step, question]``."""
        return np.stack([decision.correctness(t.scores[-1:], t.mask, t.gold)[0] for t in self.traces])

    @cached_property
    def resamples(self) -> Resamples:
        """The resamples of the report half's groups, the same for all steps."""
        return Resamples.draw(self.traces[0].groups, RESAMPLES, self.subject.seed)

    @cached_property
    def collapse(self) -> Collapse:
        """The collapse point k* of the path."""
        removed = [self.gone(step) for step in range(len(self.steps))]
        return falling.collapse(self.correct, self.resamples, self.main(0).chance, removed)

    @cached_property
    def harmless(self) -> list[Harmless]:
        """Non-inferiority of steps 1.. to the dense model."""
        return falling.harmless(self.correct, self.resamples, MARGIN)

    @property
    def recommended(self) -> int:
        """The step to take (0: none): the last shown to be harmless, or by the estimate where none is shown."""
        return falling.recommended(self.harmless, MARGIN)

    @property
    def light_and_heavy(self) -> tuple[int, ...]:
        """A light step and a heavy one: the recommended (or the first) and the first collapsed (or the last); one where
        these are the same."""
        last = len(self.steps) - 1
        heavy = last if self.collapse.step is None else self.collapse.step
        light = self.recommended or 1
        return tuple(dict.fromkeys((light if light < heavy else max(1, heavy // 2), heavy)))

    def dense_depths(self, step: int) -> tuple[int, ...]:
        """The depths of a step's model, as the dense model's after the same blocks.

        Args:
            step: From 0 (dense).

        Returns:
            One dense depth for each of the step's own.
        """
        return (0, *(block + 1 for block in self.steps[step].kept))

    def loss_interval(self, step: int) -> tuple[float, float]:
        """The paired interval of the accuracy lost by a step.

        Args:
            step: From 0 (dense).

        Returns:
            Lower and upper end at 95 %, shares.
        """
        return difference_interval(self.correct[0] - self.correct[step], self.resamples)

    def paired(self, step: int) -> dict[str, Any]:
        """Compare a step with the dense model on the same questions.

        Args:
            step: From 1.

        Returns:
            The accuracy lost with its paired interval, and the one-sided bound that non-inferiority is judged
            by. The exact McNemar p-value is None where questions are grouped: the test needs independent ones.
        """
        low, high = self.loss_interval(step)
        found = self.harmless[step - 1]
        return {
            "accuracy_loss": found.loss,
            "accuracy_loss_low": low,
            "accuracy_loss_high": high,
            "one_sided_upper": found.upper,
            "harmless_shown": found.shown,
            "questions_needed": found.questions_needed,
            "mcnemar_p": falling.mcnemar(self.correct[0], self.correct[step]) if self.resamples.independent else None,
        }

    def caption(self) -> str:
        """What the path was selected and measured on, in a line."""
        tasks = " + ".join(f"{task.name} ({task.split}, {task.format})" for task in self.subject.tasks)
        n = len(self.traces[0].questions)
        return (
            f"{self.subject.model} · {tasks} · selected by {self.criterion_name} on n = {self.n_select}, "
            f"reported on n = {n} others · {self.subject.dtype} · seed {self.subject.seed}"
        )


def write(run: RunDirectory, pruned: Pruned) -> None:
    """Write everything.

    ``path.json`` comes last and says that the rest is complete; it goes first where another path lay there. What a run
    costs lies beside it in ``cost.json``.
    """
    folder = stored(run, pruned.criterion_name)
    run.forget(f"{FOLDER}/{pruned.criterion_name}/path.json")
    tables = path_tables.every(pruned)
    for name, traces in (("steps", pruned.traces), ("watched", pruned.watched)):
        if not traces:
            continue
        arrays = {"mask": traces[0].mask, "gold": traces[0].gold} | {
            f"scores_{k}": t.scores for k, t in enumerate(traces)
        }
        folder.write_arrays(name, arrays)
        tables["questions" if name == "steps" else "watched_questions"] = trace_tables.questions_table(traces[0])
    folder.write_json("repetitions", [asdict(split) for split in pruned.others])
    for name, table in tables.items():
        folder.write_table(name, table)
    # Times and costs are others each time: they lie in files of their own, so that the path's bytes stay.
    place = f"{FOLDER}/{pruned.criterion_name}"
    run.write_json(f"{place}/assessment.json", pruned.assessment.to_dict() if pruned.assessment else None)
    run.write_json(f"{place}/cost.json", _cost(pruned))
    merged = {
        name: a for k, step in enumerate(pruned.steps) for name, a in merged_blocks.to_file(step.blends, k)[1].items()
    }
    if merged:
        folder.write_arrays(merged_blocks.NAME, merged)
    folder.finish(path_file.content(pruned, MARGIN))


def _cost(pruned: Pruned) -> dict[str, Any]:
    """The content of ``cost.json``."""
    beside = {
        "wanted": pruned.settings.raw() if pruned.settings else None,
        "stay": pruned.stay,
        "text": pruned.text,
    }
    failed = {} if pruned.not_assessed is None else {"not_assessed": pruned.not_assessed}
    return {**beside, **pruned.cost, **failed}


def stored(run: RunDirectory, criterion: str) -> StoredFolder:
    """The folder of a path."""
    return run.folder(f"{FOLDER}/{criterion}", "path.json", "layercliff prune")


def criteria_of(run: RunDirectory) -> list[str]:
    """The names of the criteria by which a run directory holds a finished path."""
    found = (file.parent.name for file in (run.path / FOLDER).glob("*/path.json"))
    return sorted(name for name in found if criteria.NAME.fullmatch(name))


def current(run: RunDirectory, about: Mapping[str, Any]) -> bool:
    """Whether the steps in an analysis's settings are those of a path that a run directory holds."""
    settings = stored_files.shaped(dict(about), StepSettings)
    found = read(run, settings.criterion)
    return found is not None and found.holds(settings)


def read(run: RunDirectory, criterion: str) -> Pruned | None:
    """A finished path, or None. Its metrics are computed anew from the scores."""
    subject, folder = run.subject(), stored(run, criterion)
    content = folder.content(PathSummary)
    if subject is None or content is None:
        return None
    steps = tuple(
        Step(
            tuple(s.kept),
            tuple(s.removed),
            {int(b): v for b, v in s.scores.items()},
            {int(b): n for b, n in s.seen.items()},
            merged_blocks.read(folder, s, content.n_layers),
        )
        for s in content.steps
    )
    cost, assessed = folder.beside("cost", PathCost), folder.beside("assessment", PerhapsAssessed)
    repeated = folder.beside("repetitions", Repetitions)
    return Pruned(
        subject,
        criterion,
        tuple(content.protected),
        content.n_select,
        steps,
        _traces(folder, "steps", "questions", content.traced_tasks, steps),
        {name: value for name, value in cost.raw().items() if name not in BESIDE_COST} if cost else {},
        _traces(folder, "watched", "watched_questions", content.watched_tasks, steps),
        tuple(repeated.root) if repeated else (),
        content.race,
        assessed.assessment if assessed else None,
        content.criterion,
        *((cost.wanted, cost.text, cost.stay, cost.not_assessed) if cost else ()),
    )


def _traces(
    folder: StoredFolder, scores: str, questions: str, tasks: Mapping[str, TracedTask], steps: Sequence[Step]
) -> tuple[Trace, ...]:
    """The traces of all steps, as they were written; none where no task is."""
    if not tasks:
        return ()
    table, names = traced.read_questions(folder, questions, tasks), [f"scores_{k}" for k in range(len(steps))]
    shapes = {name: f"float depth_of_{name} question option" for name in names} | traced.ASKED
    sizes = {f"depth_of_{name}": len(step.kept) + 1 for name, step in zip(names, steps, strict=True)}
    arrays = folder.arrays(scores, shapes, sizes | {"question": len(table)})
    return tuple(traced.rebuilt(folder, scores, arrays, names, table, tasks))
