"""Noise at every depth in a run directory: ``noise/``, with a row per size and depth."""

import polars as pl
from pydantic import Field, PositiveInt

from layercliff.analyses import intervention_result as probed
from layercliff.analyses.intervention_result import InterventionResult
from layercliff.choices import Positions
from layercliff.metrics.statistics import Curve
from layercliff.run.directory import RunDirectory
from layercliff.run.stored_shapes import Settings

FOLDER = "noise"


class NoiseSettings(Settings):
    """How noise was put on the residual stream.

    Sizes are in standard deviations of a token's state over features. Each was drawn `draws` times, at these
    positions.
    """

    eps: list[float] = Field(min_length=1)
    draws: PositiveInt
    positions: Positions


def write(run: RunDirectory, found: InterventionResult[NoiseSettings]) -> None:
    """Write runs, questions, table and summary."""
    probed.write(run, FOLDER, found, table(found))


def read(run: RunDirectory) -> InterventionResult[NoiseSettings] | None:
    """A finished analysis, or None."""
    return probed.read(
        run, FOLDER, NoiseSettings, lambda about, n_layers: len(about.eps) * about.draws * (n_layers + 1)
    )


def table(found: InterventionResult[NoiseSettings]) -> pl.DataFrame:
    """One row per task, size of noise and depth: margin and accuracy at the last depth, and their change.

    They are means over draws, with intervals over questions. ``_draw_least`` and ``_draw_greatest`` are the changes of
    a single draw.
    """
    eps, draws = found.settings.eps, found.settings.draws
    shape = (len(eps), draws, len(found.trace.scores), -1)
    margin, correct = (values.reshape(shape) for values in found.decisions)
    frames = []
    for name, keep in found.parts():
        for number, size in enumerate(eps):
            effects = found.effects(keep, margin[number].mean(0), correct[number].mean(0))
            spread = {
                f"{label}_{end}": getattr(values[number][..., keep].mean(-1), side)(0) - base
                for label, values, base in (
                    ("margin_draw", margin, _undisturbed(effects.margin, effects.margin_change)),
                    ("accuracy_draw", correct, _undisturbed(effects.accuracy, effects.accuracy_change)),
                )
                for end, side in (("least", "min"), ("greatest", "max"))
            }
            frames.append(
                pl.DataFrame(
                    {
                        "task": name,
                        "eps": float(size),
                        "depth": range(shape[2]),
                        "n": int(keep.sum()),
                        **probed.columns(effects),
                        **spread,
                    }
                )
            )
    return pl.concat(frames)


def _undisturbed(value: Curve, change: Curve) -> float:
    return float(value.point[0] - change.point[0])
