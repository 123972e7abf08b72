"""A forecast of a model's collapse, in a run directory: ``forecast/``; and the tables that rules are fitted to."""

from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float
from pydantic import PositiveInt

from layercliff import former_names
from layercliff.errors import RunError
from layercliff.metrics.forecast import FEATURES, Prediction, Rule
from layercliff.run.directory import RunDirectory
from layercliff.run.stored_files import Stored, StoredFolder, Summary
from layercliff.run.stored_shapes import Cost
from layercliff.run.strict_json import plain
from layercliff.run.subject import Subject

FOLDER, RESULT = "forecast", "forecast.json"
FORMER = "foretell", "foretold.json"
"""Folder and result in run directories of older versions. They are kept there."""
TARGET, SHIPPED = "ratio", "forecast_table.csv"

PerBlock = Float[np.ndarray, " block"]
"""One number for each dense block."""


class MeasuredSummary(Summary):
    features: dict[str, float]
    margin: float
    n_select: PositiveInt
    cost: Cost


class ForecastSummary(Stored):
    ratio: float
    low: float | None
    high: float | None
    distance: float
    farthest: float
    outside: list[str]
    source: str
    rows: int
    models: list[str]


@dataclass(frozen=True)
class Measured:
    """The dense model on one half of the questions: what each block is worth.

    Attributes:
        features: Made of the other numbers (`layercliff.metrics.forecast.FEATURES`).
        influence: [block] Block Influence.
        without: [block] Mean Decision Margin at the last depth without the block.
        lost_low: [block] Lower end of what is lost of the margin, at 95 % over groups of questions.
        lost_high: [block] Upper end.
        gates: [block] Derivative of the gold option's log-probability (nats) by the block's gate.
        margin: Mean Decision Margin at the last depth.
        n_select: Number of questions.
        cost: Machine, block passes, seconds, memory and versions.
    """

    features: dict[str, float]
    influence: PerBlock
    without: PerBlock
    lost_low: PerBlock
    lost_high: PerBlock
    gates: PerBlock
    margin: float
    n_select: int
    cost: dict[str, Any]


@dataclass(frozen=True)
class TrainingTable:
    """What a rule is fitted to.

    Attributes:
        rows: `FEATURES` and the critical ratio k*/L, one row per model and task of a study.
        source: Whose it is.
    """

    rows: pl.DataFrame
    source: str

    @property
    def rule(self) -> Rule:
        """The rule; the table decides it."""
        x, y = self.rows.select(*FEATURES).to_numpy(), self.rows[TARGET].to_numpy()
        return Rule.fitted(x, y, self.rows["model"].to_list(), list(FEATURES))

    @property
    def models(self) -> tuple[str, ...]:
        """The models it was made from."""
        return tuple(sorted(set(self.rows["model"])))


@former_names.attributes(foretold="predicted")
@dataclass(frozen=True)
class Forecast:
    """A forecast of the collapse point of a model on a task.

    Attributes:
        subject: What the run is about.
        measured: What the dense model gave.
        predicted: k*/L with its interval.
        source: Whose rule it is.
        rows: Rows that it was fitted to.
        models: Models that it was fitted to.
    """

    subject: Subject
    measured: Measured
    predicted: Prediction
    source: str
    rows: int
    models: tuple[str, ...]

    @property
    def n_layers(self) -> int:
        """The number of blocks, L."""
        return len(self.measured.influence)

    @property
    def blocks(self) -> float:
        """k* as a number of removed blocks."""
        return self.predicted.ratio * self.n_layers


_COLUMNS = {
    "influence": "influence",
    "without": "margin_without",
    "lost_low": "margin_lost_low",
    "lost_high": "margin_lost_high",
    "gates": "gate",
}


def write_measured(run: RunDirectory, measured: Measured) -> None:
    """Write a table with a row per block, and the features, which come last."""
    table = pl.DataFrame(
        {"block": range(len(measured.influence))} | {to: getattr(measured, of) for of, to in _COLUMNS.items()}
    )
    folder = stored(run)
    folder.write_table("blocks", table)
    folder.finish({name: getattr(measured, name) for name in ("features", "margin", "n_select", "cost")})


def stored(run: RunDirectory) -> StoredFolder:
    """The folder of what was measured."""
    folder, _ = place(run)
    return run.folder(folder, "features.json", "layercliff forecast")


def place(run: RunDirectory) -> tuple[str, str]:
    """The folder in a run directory, and the result's name in it."""
    former, _ = FORMER
    older = (run.path / former).exists() and not (run.path / FOLDER).exists()
    return FORMER if older else (FOLDER, RESULT)


def read_measured(run: RunDirectory) -> Measured | None:
    """What was measured in a run directory, or None."""
    folder = stored(run)
    about = folder.content(MeasuredSummary)
    if about is None:
        return None
    table = folder.table("blocks", {"block": pl.Int64, "influence": pl.Float64})
    if not set(_COLUMNS.values()) <= set(table.columns):
        return None  # measured before there were intervals
    table = folder.table("blocks", dict.fromkeys(_COLUMNS.values(), pl.Float64))
    per_block = {to: table[of].to_numpy() for to, of in _COLUMNS.items()}
    return Measured(about.features, margin=about.margin, n_select=about.n_select, cost=about.cost.raw(), **per_block)


def features(run: RunDirectory) -> dict[str, float] | None:
    """The features of a run directory, or None."""
    about = stored(run).content(MeasuredSummary)
    return None if about is None else dict(about.features)


def write(run: RunDirectory, found: Forecast) -> None:
    """Write ``forecast.json``."""
    about = {
        "n_layers": found.n_layers,
        "blocks": found.blocks,
        "source": found.source,
        "rows": found.rows,
        "models": found.models,
    }
    run.write_json(
        "/".join(place(run)), plain({**about, **asdict(found.predicted), "features": found.measured.features})
    )


def read(run: RunDirectory) -> Forecast | None:
    """The forecast in a run directory, or None."""
    subject, measured = run.subject(), read_measured(run)
    content = run.read_json("/".join(place(run)), ForecastSummary, "layercliff forecast")
    if subject is None or measured is None or content is None:
        return None
    low, high = (sign * np.inf if end is None else end for sign, end in ((-1, content.low), (1, content.high)))
    predicted = Prediction(content.ratio, low, high, content.distance, content.farthest, tuple(content.outside))
    return Forecast(subject, measured, predicted, content.source, content.rows, tuple(content.models))


def training_table(study: Path | None = None) -> TrainingTable:
    """The table of a study, or the one that ships with layercliff.

    Raises `RunError`, in one sentence, where there is none to fit a rule to.
    """
    if study is not None:
        file = study / "training.parquet"
        if not file.exists():
            raise RunError(f"{study} is no finished study: make one with `layercliff study FILE --out {study}`.")
        columns = {"model": pl.String} | dict.fromkeys((*FEATURES, TARGET), pl.Float64)
        folder = StoredFolder(study, "study.json", f"layercliff study FILE --out {study}")
        folder.content(Summary)  # for the checksums
        table = folder.table("training", columns)
        return _checked(table, f"the study {study}")
    shipped = files(__package__) / SHIPPED
    if not shipped.is_file():
        raise RunError(
            "No rule ships with this version of layercliff, since the study it would be fitted to has not been run: "
            "name a study of your own with --study DIR."
        )
    return _checked(pl.read_csv(shipped.read_bytes()), "the rule that ships with layercliff")


def _checked(table: pl.DataFrame, source: str) -> TrainingTable:
    models = table["model"].n_unique()
    if models < 2:
        raise RunError(
            f"No rule can be fitted to {source}: {len(table)} of its cells, of {models} models, have a collapse on "
            "their path by margin and the features; it takes at least 2 models."
        )
    return TrainingTable(table, source)
