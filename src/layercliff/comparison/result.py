"""The paths of a run side by side: what each criterion keeps at as many removed blocks, and what choosing cost."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import polars as pl
from jaxtyping import Float

from layercliff.errors import RunError
from layercliff.metrics.intervals import difference_interval
from layercliff.pruning import path_file
from layercliff.pruning import result as results
from layercliff.pruning.criterion import DEFAULT
from layercliff.pruning.result import Pruned
from layercliff.run import stored_files
from layercliff.run.directory import RunDirectory

FOLDER = "compare"
Found = TypeVar("Found")


def readable(read: Callable[[RunDirectory], Found | None], run: RunDirectory, unread: list[str]) -> Found | None:
    """What a reading gives, or None where it is refused; what is said then is added to `unread`."""
    try:
        return read(run)
    except RunError as error:
        unread.append(str(error))
        return None


def paths(run: RunDirectory, unread: list[str]) -> list[Pruned]:
    """All finished paths in a run directory but damaged ones (`readable`).

    The default criterion's comes first, then kind by kind.
    """
    found = [readable(partial(results.read, criterion=name), run, unread) for name in results.criteria_of(run)]
    return sorted(
        (path for path in found if path is not None),
        key=lambda path: (path.criterion_name != DEFAULT, path.criterion.rank, path.criterion_name),
    )


def write(run: RunDirectory, found: Sequence[Pruned]) -> None:
    """Write both tables beside the paths."""
    for name, table in (("steps", steps_table(found)), ("criteria", summary_table(found))):
        stored_files.write_table(run.path / FOLDER / f"{name}.parquet", table)


def steps_table(found: Sequence[Pruned]) -> pl.DataFrame:
    """One row per criterion and step: accuracy, what it loses against the dense model, and against the first criterion.

    The latter is ``less``, at as many removed blocks. All have intervals, those of differences paired. Of random orders
    the table has the mean of all draws, with the range of their middle 90 %.
    """
    first = {found[0].gone(k): k for k in range(len(found[0].steps))}
    rows = []
    for path in found:
        for k in range(len(path.steps)):
            row = _step(path, k)
            if path.stability is not None and path.criterion.drawn and k < path.stability.loss.shape[1]:
                row |= _drawn(path, path.stability.loss[:, k])
            elif path is not found[0] and path.gone(k) in first:
                row |= _less(path, k, found[0].correct[first[path.gone(k)]])
            rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


def _step(path: Pruned, k: int) -> dict[str, Any]:
    """A step by itself, and against the dense model."""
    accuracy = path.main(k).accuracy
    low, high = path.loss_interval(k) if k else (0.0, 0.0)
    return {
        "criterion": path.criterion_name,
        "removed": path.gone(k),
        "ratio": path.gone(k) / path.n_layers,
        "accuracy": float(accuracy.point[-1]),
        "accuracy_low": float(accuracy.low[-1]),
        "accuracy_high": float(accuracy.high[-1]),
        "loss": float(path.correct[0].mean() - path.correct[k].mean()),
        "loss_low": low,
        "loss_high": high,
        "less": None,
        "less_low": None,
        "less_high": None,
        "draws": None,
    }


def _drawn(path: Pruned, losses: Float[np.ndarray, " draw"]) -> dict[str, Any]:
    """A step over all draws, of which `losses` are lost."""
    low, high = np.quantile(losses, [0.05, 0.95])
    dense = float(path.correct[0].mean())
    return {
        "accuracy": dense - float(losses.mean()),
        "accuracy_low": dense - high,
        "accuracy_high": dense - low,
        "loss": float(losses.mean()),
        "loss_low": float(low),
        "loss_high": float(high),
        "draws": len(losses),
    }


def _less(path: Pruned, k: int, first: Float[np.ndarray, " question"]) -> dict[str, Any]:
    """A step against the right answers of the `first` criterion at as many removed blocks."""
    less = first - path.correct[k]
    low, high = difference_interval(less, path.resamples)
    return {"less": float(first.mean() - path.correct[k].mean()), "less_low": low, "less_high": high}


def _beside_collapse(path: Pruned) -> dict[str, Any]:
    """`path_file.beside_collapse` with the first crossing in removed blocks."""
    found = path_file.beside_collapse(path)
    steps = [name for name in found if name.startswith("first_crossing")]
    return found | {name: None if found[name] is None else path.gone(found[name]) for name in steps}


def summary_table(found: Sequence[Pruned]) -> pl.DataFrame:
    """One row per criterion: its source, the cliff, what is recommended, and what choosing cost.

    Cliff and first crossing are in removed blocks. The cost is in block passes of batches and in seconds.
    """
    rows = []
    for path in found:
        step = path.recommended
        rows.append(
            {
                "criterion": path.criterion_name,
                "about": path.criterion.words,
                "citation": path.criterion.citation,
                "removed_at_most": path.gone(len(path.steps) - 1),
                "collapse": None if path.collapse.step is None else path.gone(path.collapse.step),
                **_beside_collapse(path),
                "recommended": path.gone(step),
                "shown": bool(step) and path.harmless[step - 1].shown,
                "block_passes": path.cost.get("selection_block_passes"),
                "seconds": path.cost.get("selection_seconds"),
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)
