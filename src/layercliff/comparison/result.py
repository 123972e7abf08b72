"""The paths of a run side by side: what each criterion keeps for the same number of removed blocks, and what choosing cost."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import polars as pl

from layercliff.errors import RunError
from layercliff.metrics.statistics import percentile_interval
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
    """All finished paths in a run directory but damaged ones (`readable`): the default criterion's, then kind by kind."""
    found = [readable(partial(results.read, score=score), run, unread) for score in results.scores_of(run)]
    return sorted(
        (path for path in found if path is not None),
        key=lambda path: (path.score != DEFAULT, path.criterion.rank, path.score),
    )


def write(run: RunDirectory, found: Sequence[Pruned]) -> None:
    """Write both tables beside the paths."""
    for name, table in (("steps", steps_table(found)), ("criteria", summary_table(found))):
        stored_files.write_table(run.path / FOLDER / f"{name}.parquet", table)


def steps_table(found: Sequence[Pruned]) -> pl.DataFrame:
    """One row per criterion and step: accuracy with its interval, what it loses against the dense model, and against the first criterion at
    as many removed blocks (paired intervals). Of ``random`` the mean of all draws, with the range of their middle 90 %."""
    rows = []
    first = {found[0].gone(k): k for k in range(len(found[0].steps))}
    for path in found:
        for k in range(len(path.steps)):
            gone, main = path.gone(k), path.main(k)
            low, high = path.loss_interval(k) if k else (0.0, 0.0)
            row = {
                "criterion": path.score, "removed": gone, "ratio": gone / path.n_layers,
                "accuracy": float(main.accuracy.point[-1]), "accuracy_low": float(main.accuracy.low[-1]), "accuracy_high": float(main.accuracy.high[-1]),
                "loss": float(path.correct[0].mean() - path.correct[k].mean()), "loss_low": low, "loss_high": high,
                "less": None, "less_low": None, "less_high": None, "draws": None,
            }  # fmt: skip
            if path.stability is not None and path.criterion.drawn and k < path.stability.loss.shape[1]:
                losses = path.stability.loss[:, k]
                ends = np.quantile(losses, [0.05, 0.95])
                dense = float(path.correct[0].mean())
                row |= {
                    "accuracy": dense - float(losses.mean()), "accuracy_low": dense - ends[1], "accuracy_high": dense - ends[0],
                    "loss": float(losses.mean()), "loss_low": float(ends[0]), "loss_high": float(ends[1]), "draws": len(losses),
                }  # fmt: skip
            elif path is not found[0] and gone in first:
                pair = np.stack([found[0].correct[first[gone]], path.correct[k]])
                samples = path.resamples.means(pair)
                ends = percentile_interval(samples[:, 0] - samples[:, 1])
                row |= {
                    "less": float(pair[0].mean() - pair[1].mean()),
                    "less_low": float(ends[0]),
                    "less_high": float(ends[1]),
                }
            rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


def summary_table(found: Sequence[Pruned]) -> pl.DataFrame:
    """One row per criterion: its source, the cliff, what is recommended, and what choosing cost (block passes of batches and seconds)."""
    rows = []
    for path in found:
        step = path.recommended
        rows.append(
            {
                "criterion": path.score,
                "about": path.criterion.words,
                "citation": path.criterion.citation,
                "removed_at_most": path.gone(len(path.steps) - 1),
                "collapse": None if path.collapse.step is None else path.gone(path.collapse.step),
                "recommended": path.gone(step),
                "shown": bool(step) and path.harmless[step - 1].shown,
                "block_passes": path.cost.get("selection_block_passes"),
                "seconds": path.cost.get("selection_seconds"),
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)
