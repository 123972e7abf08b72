"""A pruning path in a run directory: ``prune/<score>/`` with the path, tables per step, and the scores of every step's model."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from layercliff import cache
from layercliff.choices import Score
from layercliff.config import Subject
from layercliff.errors import RunError
from layercliff.metrics import collapse as falling
from layercliff.metrics import decision
from layercliff.metrics.analysis import Analysis, analyse
from layercliff.metrics.collapse import Collapse, Harmless
from layercliff.metrics.statistics import RESAMPLES, Resamples, percentile_interval
from layercliff.readout.trace import Trace
from layercliff.results import traced
from layercliff.store import RunDirectory

FOLDER = "prune"
MARGIN = 0.05  # a loss of accuracy below this is called harmless


@dataclass(frozen=True)
class Step:
    """Step k of a path: the dense indices `kept` (authoritative), the block `removed` last, and the `scores` of all candidates it was chosen
    from. Step 0 is the dense model."""

    kept: tuple[int, ...]
    removed: int | None
    scores: Mapping[int, float]


@dataclass(frozen=True)
class Pruned:
    """A path with what every step's model does on the report half.

    `traces[k]` has one row per depth of step k's model: n kept blocks give n + 1 rows.
    """

    subject: Subject
    score: Score
    protected: tuple[int, ...]
    n_select: int
    steps: tuple[Step, ...]
    traces: tuple[Trace, ...]
    cost: Mapping[str, Any]

    @property
    def n_layers(self) -> int:
        """L of the dense model."""
        return len(self.steps[0].kept)

    @cached_property
    def analyses(self) -> tuple[Mapping[str, Analysis], ...]:
        """Per step, the analysis of each task and ``joint``."""
        return tuple(analyse(trace, RESAMPLES, self.subject.seed) for trace in self.traces)

    def main(self, step: int) -> Analysis:
        """The analysis of a step over all its questions."""
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
        return falling.collapse(self.correct, self.resamples, self.main(0).chance)

    @cached_property
    def harmless(self) -> list[Harmless]:
        """Non-inferiority of steps 1.. to the dense model."""
        groups = self.traces[0].groups
        return falling.harmless(self.correct, self.resamples, len(set(groups)) == len(groups), MARGIN)

    @property
    def recommended(self) -> int:
        """The step to take (0: none): the last shown to be harmless, or by the estimate where none is shown."""
        return falling.recommended(self.harmless, MARGIN)

    def loss_interval(self, step: int) -> tuple[float, float]:
        """The paired bootstrap interval of the accuracy lost by a step."""
        samples = self.resamples.means(self.correct[[0, step]])
        low, high = percentile_interval(samples[:, 0] - samples[:, 1])
        return float(low), float(high)

    def caption(self) -> str:
        """What the path was selected and measured on, in a line."""
        tasks = " + ".join(f"{task.name} ({task.split}, {task.format})" for task in self.subject.tasks)
        n = len(self.traces[0].questions)
        return f"{self.subject.model} · {tasks} · selected by {self.score} on n = {self.n_select}, reported on n = {n} others · {self.subject.dtype} · seed {self.subject.seed}"


def write(run: RunDirectory, pruned: Pruned) -> None:
    """Write everything; ``path.json`` comes last and says that the rest is complete. What a run costs lies beside it in ``cost.json``."""
    from safetensors.numpy import save_file

    folder = f"{FOLDER}/{pruned.score}"
    first = pruned.traces[0]
    arrays = {"mask": first.mask, "gold": first.gold} | {
        f"scores_{k}": trace.scores for k, trace in enumerate(pruned.traces)
    }
    with cache.whole_file(run.path / folder / "steps.safetensors") as partial:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, partial)
    tables = {
        "steps": steps_table(pruned),
        "candidates": candidates_table(pruned),
        "depths": depths_table(pruned),
        "questions": traced.questions_table(first),
    }
    for name, table in tables.items():
        with cache.whole_file(run.path / folder / f"{name}.parquet") as partial:
            table.write_parquet(partial)
    run.write_json(f"{folder}/cost.json", dict(pruned.cost))
    run.write_json(f"{folder}/path.json", path(pruned))


def path(pruned: Pruned) -> dict[str, Any]:
    """The content of ``path.json``: steps with their kept blocks, candidates and report figures, the collapse point, the recommendation."""
    return {
        "model": pruned.subject.model,
        "revision": pruned.subject.revision,
        "score": pruned.score,
        "protected": list(pruned.protected),
        "n_layers": pruned.n_layers,
        "n_select": pruned.n_select,
        "n_report": len(pruned.traces[0].questions),
        "steps": [
            {
                "step": k,
                "kept": list(step.kept),
                "removed": step.removed,
                "scores": {str(block): score for block, score in step.scores.items()},
                "report": {name: traced.figures(analysis) for name, analysis in pruned.analyses[k].items()},
                "paired": _paired(pruned, k) if k else None,
            }
            for k, step in enumerate(pruned.steps)
        ],
        "collapse": _collapse(pruned.collapse, pruned.n_layers),
        "recommendation": {
            "step": pruned.recommended,
            "margin": MARGIN,
            "shown": bool(pruned.recommended) and pruned.harmless[pruned.recommended - 1].shown,
        },
        "traced_tasks": {name: task.as_dict() for name, task in pruned.traces[0].tasks.items()},
    }


def _paired(pruned: Pruned, step: int) -> dict[str, Any]:
    low, high = pruned.loss_interval(step)
    found = pruned.harmless[step - 1]
    return {
        "accuracy_loss": found.loss,
        "accuracy_loss_low": low,
        "accuracy_loss_high": high,
        "one_sided_upper": found.upper,
        "harmless_shown": found.shown,
        "questions_needed": found.questions_needed,
        "mcnemar_p": falling.mcnemar(pruned.correct[0], pruned.correct[step]),
    }


def _collapse(found: Collapse, n_layers: int) -> dict[str, Any]:
    ends = [int(end) if np.isfinite(end) else None for end in (found.low, found.high)]
    return {
        "defined": found.defined,
        "step": found.step,
        "low": ends[0],
        "high": ends[1],
        "censored_share": found.censored_share,
        "critical_ratio": None if found.step is None else found.step / n_layers,
    }


def steps_table(pruned: Pruned) -> pl.DataFrame:
    """One row per step and task: report figures beside the paired loss."""
    rows = []
    for k, step in enumerate(pruned.steps):
        for name, analysis in pruned.analyses[k].items():
            paired = _paired(pruned, k) if k else {}
            rows.append(
                {
                    "step": k,
                    "ratio": k / pruned.n_layers,
                    "task": name,
                    "removed": step.removed,
                    **{n: v for n, v in traced.figures(analysis).items() if not isinstance(v, list)},
                    **paired,
                }
            )
    return pl.DataFrame(rows, infer_schema_length=None)


def candidates_table(pruned: Pruned) -> pl.DataFrame:
    """One row per step and candidate: its score, and whether it was removed."""
    rows = [
        {"step": k, "block": block, "score": score, "removed": block == step.removed}
        for k, step in enumerate(pruned.steps)
        for block, score in step.scores.items()
    ]
    return pl.DataFrame(rows, schema={"step": pl.Int64, "block": pl.Int64, "score": pl.Float64, "removed": pl.Boolean})


def depths_table(pruned: Pruned) -> pl.DataFrame:
    """One row per step and depth; ``block`` is the dense index of the block whose output the depth is (null at 0)."""
    frames = []
    for k, step in enumerate(pruned.steps):
        main = pruned.main(k)
        columns = {"step": k, "depth": range(len(step.kept) + 1), "block": [None, *step.kept], "margin": main.margin.point, "margin_low": main.margin.low, "margin_high": main.margin.high, "accuracy": main.accuracy.point, "accuracy_low": main.accuracy.low, "accuracy_high": main.accuracy.high}  # fmt: skip
        frames.append(pl.DataFrame(columns, schema_overrides={"block": pl.Int64, "step": pl.Int64, "depth": pl.Int64}))
    return pl.concat(frames)


def scores_of(run: RunDirectory) -> list[Score]:
    """The scores by which a finished path lies in a run directory."""
    return sorted(file.parent.name for file in (run.path / FOLDER).glob("*/path.json"))  # type: ignore[misc]


def read(run: RunDirectory, score: Score) -> Pruned | None:
    """A finished path, or None. Its metrics are computed anew from the scores."""
    from safetensors.numpy import load_file

    folder = f"{FOLDER}/{score}"
    subject, content = run.subject(), run.read_json(f"{folder}/path.json")
    if subject is None or content is None:
        return None
    try:
        arrays = load_file(run.path / folder / "steps.safetensors")
        table = pl.read_parquet(run.path / folder / "questions.parquet")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RunError(f"{run.path / folder} is incomplete ({error}): remove it and run the path again.") from error
    steps = tuple(
        Step(tuple(s["kept"]), s["removed"], {int(b): v for b, v in s["scores"].items()}) for s in content["steps"]
    )
    traces = tuple(
        traced.rebuilt(arrays[f"scores_{k}"], arrays["mask"], arrays["gold"], None, table, content["traced_tasks"])
        for k in range(len(steps))
    )
    return Pruned(
        subject,
        score,
        tuple(content["protected"]),
        content["n_select"],
        steps,
        traces,
        run.read_json(f"{folder}/cost.json") or {},
    )
