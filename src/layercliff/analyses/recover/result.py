"""Steps of a path before and after training, in a run directory: ``recover/``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from layercliff.analyses.recover import tables
from layercliff.analyses.recover.shapes import RecoverSettings, RecoverSummary, TrainingRecord
from layercliff.analyses.trace import result as traced
from layercliff.analyses.trace import tables as trace_tables
from layercliff.metrics import decision, phases
from layercliff.metrics.analysis import chance_of
from layercliff.metrics.intervals import difference_curve, mean_curve, share_curve
from layercliff.metrics.phases import Transition
from layercliff.metrics.statistics import RESAMPLES, Curve, Resamples
from layercliff.readout.trace import Trace
from layercliff.run.directory import RunDirectory
from layercliff.run.stored_files import StoredFolder
from layercliff.run.strict_json import plain
from layercliff.run.subject import Subject

FOLDER = "recover"
SUMMARY = f"{FOLDER}/summary.json"
MODELS = f"{FOLDER}/models"
CHECKPOINTS = f"{FOLDER}/training"
RECORD = "training.json"

HOW = ("method", "updates", "batch", "rate", "rank", "distill")
"""The settings of `Recovered.settings` that say how was trained."""

SAID = {
    "unasked": "questions that are asked nowhere else",
    "select": "questions of the half that the path was chosen on",
}
"""What is trained on, in words."""

Place = Literal["dense", "below", "at", "beyond", "uncollapsed"]
"""Where a step lies on its path: before the cliff, at it, after it; ``uncollapsed`` on a path without one."""

Kept = Bool[np.ndarray, " question"]
Course = list[tuple[int, float]]
"""The course of a training: updates made, and the mean loss since the entry before, in nats per token."""


@dataclass(frozen=True)
class Curves:
    """A step's model over its own depths.

    Attributes:
        margin: Mean Decision Margin over questions and seeds, with intervals over questions.
        accuracy: Share of right answers, the same.
        margin_seeds: [2 depth] The least and the greatest margin of a single seed.
        accuracy_seeds: [2 depth] The least and the greatest accuracy of a single seed.
        transition: T with its interval.
    """

    margin: Curve
    accuracy: Curve
    margin_seeds: Float[np.ndarray, "end depth"]
    accuracy_seeds: Float[np.ndarray, "end depth"]
    transition: Transition


@dataclass(frozen=True)
class Recovered:
    """Steps of a path before and after training.

    Attributes:
        subject: What the run is about.
        untrained: Traces on the ``report`` half, by step.
        trained: The same after training, one per seed.
        settings: How was trained.
        material: What was trained on, by task.
        losses: The course of each training, by step, one per seed.
        cost: Machine, updates, seconds, memory and versions.
    """

    subject: Subject
    untrained: Mapping[int, Trace]
    trained: Mapping[int, tuple[Trace, ...]]
    settings: RecoverSettings
    material: Mapping[str, Any]
    losses: Mapping[int, Sequence[Course]]
    cost: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The task, or ``joint``."""
        tasks = self.untrained[0].tasks
        return next(iter(tasks)) if len(tasks) == 1 else "joint"

    @property
    def n_layers(self) -> int:
        """L of the dense model."""
        return self.untrained[0].n_layers

    @property
    def steps(self) -> tuple[int, ...]:
        """Steps of the path, the dense model first."""
        return tuple(self.untrained)

    def kept(self, step: int) -> tuple[int, ...]:
        """Dense indices of a step's blocks.

        Args:
            step: Of the path, 0 for the dense model.

        Returns:
            Their numbers, from 0.
        """
        return tuple(self.settings.steps[str(step)])

    def identity(self, step: int, seed: int) -> dict[str, Any]:
        """What decides a training, for whoever wants to know whether weights are of it.

        Args:
            step: Of the path, 0 for the dense model.
            seed: Of the training.

        Returns:
            JSON.
        """
        digests = {name: of["digest"] for name, of in self.material.items()}
        return identity(
            self.settings.raw(),
            self.settings.steps[str(step)],
            self.settings.merged[str(step)],
            digests,
            self.subject,
            seed,
        )

    def gone(self, step: int) -> int:
        """How many blocks a step is without.

        Args:
            step: Of the path, 0 for the dense model.

        Returns:
            A number of blocks.
        """
        return self.n_layers - len(self.kept(step))

    def place(self, step: int) -> Place:
        """Where a step lies on its path.

        Args:
            step: Of the path, 0 for the dense model.

        Returns:
            Before the cliff, at it, or beyond.
        """
        cliff = self.settings.cliff
        if step == 0:
            return "dense"
        if cliff is None:
            return "uncollapsed"
        return "below" if step < cliff else "at" if step == cliff else "beyond"

    def parts(self) -> Iterator[tuple[str, Kept]]:
        """Each task, and all together under ``joint``.

        Yields:
            Its name, and which questions are its own, [question].
        """
        names = np.array(self.untrained[0].task_of)
        for name in self.untrained[0].tasks:
            yield name, names == name
        if len(self.untrained[0].tasks) > 1:
            yield "joint", np.ones(len(names), bool)

    def resamples(self, keep: Kept) -> Resamples:
        """The resamples of some questions, the same for every step and depth.

        Args:
            keep: [question] Which questions count.

        Returns:
            The resamples.
        """
        groups = [group for group, wanted in zip(self.untrained[0].groups, keep, strict=True) if wanted]
        return Resamples.draw(groups, RESAMPLES, self.subject.seed)

    def chance(self, name: str) -> float:
        """Chance of a task, or of all.

        Args:
            name: A task, or ``joint``.

        Returns:
            A share.
        """
        return chance_of(self.untrained[0] if name == "joint" else self.untrained[0].of(name))

    def curves(self, name: str, keep: Kept, traces: Sequence[Trace], resamples: Resamples) -> Curves:
        """What some traces of one step say about some questions.

        Args:
            name: A task, or ``joint``.
            keep: [question] Which questions count.
            traces: Of one step, one per seed.
            resamples: Resamples of these questions.

        Returns:
            Margin and accuracy by depth.
        """
        margins, correct = (np.stack(values) for values in zip(*(_decisions(t, keep) for t in traces), strict=True))
        margin, accuracy = margins.mean(0), correct.mean(0)
        samples = resamples.means(margin), resamples.means(accuracy)
        transition = phases.transition(margin.mean(1), accuracy.mean(1), *samples, self.chance(name))
        ends = [np.stack([v.mean(2).min(0), v.mean(2).max(0)]) for v in (margins, correct)]
        return Curves(mean_curve(margin, resamples), share_curve(accuracy, resamples), ends[0], ends[1], transition)

    def gained(self, step: int, keep: Kept, resamples: Resamples) -> dict[str, float]:
        """What training changed at the last depth, and how far the step then is from the dense model trained alike.

        Both are paired question by question, with 95 % intervals.

        Args:
            step: Of the path.
            keep: [question] Which questions count.
            resamples: Resamples of these questions.

        Returns:
            Changes of margin and accuracy by name. Ends of intervals have ``_low`` and ``_high``.
        """
        before = [values[-1] for values in _decisions(self.untrained[step], keep)]
        after, dense = (
            [np.concatenate(values).mean(0) for values in zip(*_last(self.trained[s], keep), strict=True)]
            for s in (step, 0)
        )
        found: dict[str, float] = {}
        made = {"margin": mean_curve, "accuracy": difference_curve}
        for (label, interval), value, old, control in zip(made.items(), after, before, dense, strict=True):
            for what, change in (("gain", value - old), ("from_dense", value - control)):
                ends = interval(change[None], resamples)
                found |= {
                    f"{label}_{what}{end}": float(getattr(ends, side)[0])
                    for end, side in (("", "point"), ("_low", "low"), ("_high", "high"))
                }
        return found

    def caption(self) -> str:
        """Model, task, split, n, format, dtype, seed and path in a line."""
        n = f"n = {len(self.untrained[0].questions)} (report half)"
        return f"{traced.described(self.subject, self.name, n)}, path by {self.settings.criterion}"


def identity(
    about: Mapping[str, Any],
    kept: Sequence[int],
    merged: object,
    material: Mapping[str, str],
    subject: Subject,
    seed: int,
) -> dict[str, Any]:
    """What decides the weights that a training of one step ends with, as JSON has it."""
    how = {name: about[name] for name in HOW}
    return {
        **how,
        "kept": list(kept),
        "merged": merged,
        "material": dict(material),
        "dtype": subject.dtype,
        "seed": seed,
    }


def _decisions(trace: Trace, keep: Kept) -> tuple[np.ndarray, np.ndarray]:
    """Decision Margin and correctness, ``[depth, question]``."""
    scores, mask, gold = trace.scores[:, keep], trace.mask[keep], trace.gold[keep]
    return decision.margin(decision.probabilities(scores, mask), mask, gold), decision.correctness(scores, mask, gold)


def _last(traces: Sequence[Trace], keep: Kept) -> list[tuple[np.ndarray, np.ndarray]]:
    return [_decisions(trace.at(np.array([-1])), keep) for trace in traces]


def write(run: RunDirectory, found: Recovered) -> None:
    """Write traces, questions, tables and summary.

    The summary comes last and says that the rest is complete; another one that lay there goes first.
    """
    folder, dense = stored(run), found.untrained[0]
    run.forget(SUMMARY)
    arrays = {"mask": dense.mask, "gold": dense.gold}
    for step in found.steps:
        arrays[f"untrained_{step}"] = found.untrained[step].scores
        arrays |= {f"trained_{step}_{seed}": trace.scores for seed, trace in enumerate(found.trained[step])}
    folder.write_arrays("scores", arrays)
    last = tables.ends(found)
    for name, content in (
        ("questions", trace_tables.questions_table(dense)),
        ("recover", tables.table(found)),
        ("ends", last),
    ):
        folder.write_table(name, content)
    folder.finish(
        plain(
            {
                "model": found.subject.model,
                "revision": found.subject.revision,
                "about": found.settings.raw(),
                "material": dict(found.material),
                "ends": last.to_dicts(),
                "losses": {str(step): values for step, values in found.losses.items()},
                "traced_tasks": {name: task.as_dict() for name, task in dense.tasks.items()},
                "cost": dict(found.cost),
            }
        )
    )


def stored(run: RunDirectory) -> StoredFolder:
    """The folder of a recovery."""
    return run.folder(FOLDER, "summary.json", "layercliff recover")


def read(run: RunDirectory) -> Recovered | None:
    """A finished recovery, or None. Its metrics are computed anew from the scores."""
    subject, folder = run.subject(), stored(run)
    content = folder.content(RecoverSummary)
    if subject is None or content is None:
        return None
    kept = {int(step): blocks for step, blocks in content.about.steps.items()}
    if 0 not in kept or not set(content.about.steps) <= content.losses.keys() & content.about.merged.keys():
        folder.refuse(folder.summary, "it has not the dense model, or not every step's losses")
    runs: dict[int, list[str]] = {s: [f"trained_{s}_{seed}" for seed in range(content.about.seeds)] for s in kept}
    names = {step: [f"untrained_{step}", *trained] for step, trained in runs.items()}
    table = traced.read_questions(folder, "questions", content.traced_tasks)
    shapes = {name: f"float depth_of_{step} question option" for step, some in names.items() for name in some}
    sizes = {f"depth_of_{step}": len(blocks) + 1 for step, blocks in kept.items()}
    arrays = folder.arrays("scores", shapes | traced.ASKED, sizes | {"question": len(table)})

    def traces(some: Sequence[str]) -> tuple[Trace, ...]:
        return tuple(traced.rebuilt(folder, "scores", arrays, some, table, content.traced_tasks))

    return Recovered(
        subject,
        {step: traces([f"untrained_{step}"])[0] for step in kept},
        {step: traces(runs[step]) for step in kept},
        content.about,
        {name: of.raw() for name, of in content.material.items()},
        {int(step): [course(values) for values in runs] for step, runs in content.losses.items()},
        content.cost.raw(),
    )


def folder_of(step: int, seed: int) -> str:
    """Where a trained step's weights lie in a run directory."""
    return f"{MODELS}/step-{step}-seed-{seed}"


def record(run: RunDirectory, folder: str) -> TrainingRecord | None:
    """What was written beside trained weights when they were complete, or None."""
    return run.folder(folder, RECORD, "layercliff recover").content(TrainingRecord)


def course(entries: Sequence[Sequence[Any]]) -> Course:
    """The course of a training, from JSON."""
    return [(int(updates), float(loss)) for updates, loss in entries]
