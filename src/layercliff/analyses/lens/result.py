"""What every lens reads, in a run directory: ``lens/``, with a row per lens and depth, and the tuned lens's maps."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from pydantic import Field

from layercliff.analyses import intervention_result as probed
from layercliff.analyses.intervention_result import InterventionResult
from layercliff.choices import Lenses
from layercliff.metrics.analysis import analyse
from layercliff.metrics.statistics import RESAMPLES
from layercliff.run.directory import RunDirectory
from layercliff.run.stored_shapes import Settings

FOLDER = "lens"
TUNED = f"{FOLDER}/tuned.safetensors"

LOGIT, TUNED_LENS, PROBE = "logit", "tuned", "probe"
CONTROL = "probe of shuffled gold"
"""The probe of the control task: gold options are exchanged at random. In its runs the scores of the gold option and
of the one it was exchanged for have changed places, so that it is measured like the others."""


class TunedOn(Settings):
    """Where a tuned lens comes from (`layercliff.readout.tuned.Provenance`), as far as it is shown."""

    model: str
    dtype: str
    text: str
    positions: int
    held_out: int
    steps: int
    seed: int
    logit: list[float]
    tuned: list[float]


class LensSettings(Settings):
    """The lenses beside the logit lens.

    Of a tuned lens that was read, `trained` is the digest of its file. Of one that was trained here, `text`, `digest`,
    `tokens` and `steps` say how. Both have a `provenance`.
    """

    lenses: list[Lenses] = Field(min_length=1)
    trained: str | None = None
    text: str | None = None
    digest: str | None = None
    tokens: int | None = None
    steps: int | None = None
    provenance: TunedOn | None


def write(run: RunDirectory, found: InterventionResult[LensSettings]) -> None:
    """Write runs, questions, table and summary."""
    probed.write(run, FOLDER, found, table(found))


def read(run: RunDirectory) -> InterventionResult[LensSettings] | None:
    """A finished analysis, or None."""
    return probed.read(run, FOLDER, LensSettings, lambda about, n_layers: len(_beside(about.lenses)) * (n_layers + 1))


def besides(found: InterventionResult[LensSettings]) -> list[str]:
    """What was read besides the logit lens, in the order of the runs: each has one per depth."""
    return _beside(found.settings.lenses)


def _beside(lenses: Sequence[str]) -> list[str]:
    return [name for lens in lenses for name in ((lens, CONTROL) if lens == PROBE else (lens,))]


def table(found: InterventionResult[LensSettings]) -> pl.DataFrame:
    """One row per task, lens and depth: margin and accuracy with intervals.

    ``_gain`` is the difference to the logit lens at this depth on the same questions. It is null for the control,
    which has other gold options. `transition` is the lens's own transition depth with its interval, null where it is
    undecided.
    """
    n_depths = len(found.trace.scores)
    margin, correct = found.decisions
    own_margin, own_correct = found.undisturbed_depths
    runs = {LOGIT: slice(None)} | {
        name: slice(n * n_depths, (n + 1) * n_depths) for n, name in enumerate(besides(found))
    }
    frames = []
    for lens, rows in runs.items():
        scores = found.trace.scores if lens == LOGIT else found.scores[rows]
        own = analyse(replace(found.trace, scores=scores), RESAMPLES, found.subject.seed)
        for name, keep in found.parts():
            here = (own_margin, own_correct) if lens == LOGIT else (margin[rows], correct[rows])
            base = zip(here, (own_margin, own_correct), found.undisturbed, strict=True)
            gain = probed.columns(found.effects(keep, *(values - logit + last for values, logit, last in base)))
            analysis = own[name]
            columns = {
                f"{label}{end}": getattr(curve, side)
                for label, curve in (("margin", analysis.margin), ("accuracy", analysis.accuracy))
                for end, side in (("", "point"), ("_low", "low"), ("_high", "high"))
            }
            known = lens != CONTROL
            gains = {k.replace("_change", "_gain"): v if known else None for k, v in gain.items() if "_change" in k}
            ends = {"": analysis.transition.depth, "_low": analysis.transition.low, "_high": analysis.transition.high}
            depths = {
                f"transition{end}": None if depth is None or not np.isfinite(depth) else int(depth)
                for end, depth in ends.items()
            }
            about = {"task": name, "lens": lens, "depth": range(n_depths), "n": int(keep.sum())}
            schema = dict.fromkeys(gains, pl.Float64) | dict.fromkeys(depths, pl.Int64)
            more = {"chance": analysis.chance, **depths}
            frames.append(pl.DataFrame({**about, **columns, **gains, **more}, schema_overrides=schema))
    return pl.concat(frames)
