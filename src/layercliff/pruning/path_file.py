"""The content of ``path.json``, which is written when the rest of a path is."""

from typing import TYPE_CHECKING, Any

import numpy as np

from layercliff.analyses.trace import result as traced
from layercliff.models import merged_blocks
from layercliff.pruning.repeats import Stability
from layercliff.run.strict_json import plain

if TYPE_CHECKING:
    from layercliff.pruning.result import Pruned


def content(pruned: "Pruned", margin: float) -> dict[str, Any]:
    """The content of ``path.json``, with the `margin` of non-inferiority.

    Steps have their kept blocks, candidates and report figures; beside them stand the collapse and the recommendation.
    """
    found = {
        "model": pruned.subject.model,
        "revision": pruned.subject.revision,
        "criterion": {"name": pruned.criterion_name, **pruned.criterion.as_dict()},
        "score": pruned.criterion_name,  # as version 0.1.0 called it
        "protected": list(pruned.protected),
        "race": pruned.race,
        "n_layers": pruned.n_layers,
        "n_select": pruned.n_select,
        "n_report": len(pruned.traces[0].questions),
        "steps": [
            {
                "step": k,
                "kept": list(step.kept),
                "removed": list(step.removed),
                "scores": {str(block): score for block, score in step.scores.items()},
                "blends": merged_blocks.to_file(step.blends, k)[0],
                "seen": {str(block): n for block, n in step.seen.items()},
                "report": {name: traced.figures(analysis, step.kept) for name, analysis in pruned.analyses[k].items()},
                "paired": pruned.paired(k) if k else None,
                "watched": {
                    name: traced.figures(analysis, step.kept) for name, analysis in pruned.watched_analyses[k].items()
                }
                if pruned.watched
                else {},
            }
            for k, step in enumerate(pruned.steps)
        ],
        "collapse": _collapse(pruned),
        "stability": _stability(pruned.stability),
        "recommendation": {
            "step": pruned.recommended,
            "margin": margin,
            "shown": bool(pruned.recommended) and pruned.harmless[pruned.recommended - 1].shown,
        },
        "traced_tasks": {name: task.as_dict() for name, task in pruned.traces[0].tasks.items()},
        "watched_tasks": {name: task.as_dict() for name, task in pruned.watched[0].tasks.items()}
        if pruned.watched
        else {},
    }
    return dict(plain(found))


def _collapse(pruned: "Pruned") -> dict[str, Any]:
    found = pruned.collapse
    ends = [_whole(end) for end in (found.low, found.high)]
    return {
        "defined": found.defined,
        "step": found.step,
        "low": ends[0],
        "high": ends[1],
        "censored_share": found.censored_share,
        "critical_ratio": None if found.step is None else pruned.gone(found.step) / pruned.n_layers,
        **beside_collapse(pruned),
    }


def beside_collapse(pruned: "Pruned") -> dict[str, Any]:
    """The first crossing (a step), and retained accuracy: its mean over removed blocks, its area in shares of L."""
    crossing, retained = pruned.collapse.crossing, pruned.collapse.retained
    ends = ("", "_low", "_high")
    found: dict[str, Any] = {}
    steps = (crossing.step, _whole(crossing.low), _whole(crossing.high)) if crossing else (None,) * 3
    found |= {f"first_crossing{end}": step for end, step in zip(ends, steps, strict=True)}
    means = (retained.mean, retained.low, retained.high) if retained else (None,) * 3
    areas = retained.area(pruned.n_layers) if retained else (None,) * 3
    for name, values in (("retained", means), ("retained_area", areas)):
        found |= {f"{name}{end}": value for end, value in zip(ends, values, strict=True)}
    return found


def _whole(end: float) -> int | None:
    return int(end) if np.isfinite(end) else None


def _stability(found: Stability | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "paths": len(found.loss),
        "collapse_steps": list(found.collapse),
        "loss_median": np.median(found.loss, 0).tolist(),
        "loss_least": found.loss.min(0).tolist(),
        "loss_greatest": found.loss.max(0).tolist(),
        "gone": found.gone.tolist(),
    }
