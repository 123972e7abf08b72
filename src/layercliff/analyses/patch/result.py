"""States exchanged with steps of a path, in a run directory: ``patch/``, with a row per step, direction and depth."""

import polars as pl

from layercliff.analyses import intervention_result as probed
from layercliff.analyses.intervention_result import InterventionResult
from layercliff.choices import Positions
from layercliff.pruning.shapes import StepSettings
from layercliff.run.directory import RunDirectory

FOLDER = "patch"

INTO = ("pruned", "dense")
"""Which model goes on with the other's state."""


class PatchSettings(StepSettings):
    """The steps whose states were exchanged, and at which positions."""

    positions: Positions


def write(run: RunDirectory, found: InterventionResult[PatchSettings]) -> None:
    """Write runs, questions, table and summary."""
    probed.write(run, FOLDER, found, table(found))


def read(run: RunDirectory) -> InterventionResult[PatchSettings] | None:
    """A finished analysis, or None."""
    return probed.read(run, FOLDER, PatchSettings, _runs)


def _runs(about: PatchSettings, n_layers: int) -> int:
    """The step's own depths, and at each of them an exchange either way. Raises `ValueError` for blocks that there are
    not."""
    if (last := max(block for kept in about.steps.values() for block in kept)) >= n_layers:
        raise ValueError(f"block {last} of {n_layers}")
    return sum((1 + len(INTO)) * (len(kept) + 1) for kept in about.steps.values())


def table(found: InterventionResult[PatchSettings]) -> pl.DataFrame:
    """One row per task, step, model that goes on, and matching depth, as the dense and as the pruned model count it.

    Margin and accuracy are those of the last depth, with intervals. Their change is against the dense model, ``_gain``
    against the pruned one.
    """
    margin, correct = found.decisions
    frames = []
    for name, keep in found.parts():
        begin = 0
        for step, kept in found.settings.steps.items():
            n = len(kept) + 1
            own, *ends = (slice(begin + i * n, begin + (i + 1) * n) for i in range(3))
            begin += 3 * n
            for into, rows in zip(INTO, ends, strict=True):
                gain = found.effects(
                    keep,
                    margin[rows] - margin[own][-1] + found.undisturbed[0],
                    correct[rows] - correct[own][-1] + found.undisturbed[1],
                )
                effects = probed.columns(found.effects(keep, margin[rows], correct[rows]))
                gains = {k.replace("_change", "_gain"): v for k, v in probed.columns(gain).items() if "_change" in k}
                about = {
                    "task": name,
                    "step": int(step),
                    "into": into,
                    "dense": [0, *(b + 1 for b in kept)],
                    "pruned": range(n),
                }
                frames.append(pl.DataFrame({**about, "n": int(keep.sum()), **effects, **gains}))
    return pl.concat(frames)
