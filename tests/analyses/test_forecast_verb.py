"""The forecast of a collapse: measured from the dense model, shared with the path's first step, by a study's rule or
refused."""

from pathlib import Path

import damaged_files
import families
import numpy as np
import polars as pl
import pytest
import word_tasks
from commands import Here

import layercliff
from layercliff.analyses.forecast import result as forecasts
from layercliff.errors import RunError
from layercliff.metrics import decision
from layercliff.metrics.forecast import FEATURES, share_below
from layercliff.metrics.intervals import mean_curve
from layercliff.metrics.statistics import Resamples
from layercliff.models import surgery
from layercliff.models.model import Model
from layercliff.pruning.iterative import IterativeSelector
from layercliff.run.directory import RunDirectory
from layercliff.studies.result import LEAST_ROWS
from layercliff.tasks.question import Task


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study's table in which k*/L follows the transition depth."""
    rng = np.random.default_rng(0)
    table = (
        pl.DataFrame(
            {"model": [f"m{i % 6}" for i in range(24)], "task": "t", "format": "letter", "seed": 0, "n_layers": 10}
            | {name: rng.random(24) for name in FEATURES}
        )
        .with_columns(transition=0.3 * pl.col("transition"))
        .with_columns(ratio=1 - 0.7 * pl.col("transition"))
    )
    (tmp_path / "study").mkdir()
    table.write_parquet(tmp_path / "study" / "training.parquet")
    return tmp_path / "study"


def test_measured_from_the_dense_model_and_read_back(tiny: Model, colours: Task, study: Path, tmp_path: Path) -> None:
    found = layercliff.forecast(tiny, colours, study=study, out=tmp_path / "run")
    measured = found.measured
    path = layercliff.prune(tiny, colours, remove=1, assess=False, out=tmp_path / "other")
    assert dict(enumerate(measured.without)) == pytest.approx(dict(path.steps[1].scores), rel=1e-5)
    assert measured.features["removal"] == share_below(measured.margin - measured.without, measured.margin / 2)
    assert measured.cost["block_passes"] > measured.cost["removal_block_passes"] > 0
    assert 0 <= found.predicted.ratio <= 1
    again = layercliff.forecast(tiny, colours, study=study, out=tmp_path / "run")
    assert again.predicted == found.predicted
    kept = forecasts.read(RunDirectory(tmp_path / "run"))
    assert kept is not None
    np.testing.assert_array_equal(kept.measured.lost_low, measured.lost_low)
    np.testing.assert_array_equal(kept.measured.lost_high, measured.lost_high)
    assert (kept.predicted, kept.rows, kept.models) == (found.predicted, 24, tuple(f"m{i}" for i in range(6)))
    file = tmp_path / "run" / "forecast" / "blocks.parquet"
    whole = pl.read_parquet(file)
    whole.drop("margin_lost_low").write_parquet(file)
    damaged_files.as_before_checksums(tmp_path / "run")  # as an earlier version left it
    assert forecasts.read(RunDirectory(tmp_path / "run")) is None
    layercliff.forecast(tiny, colours, study=study, out=tmp_path / "run")
    assert pl.read_parquet(file).equals(whole)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Forecast before anything is pruned" in page
    assert "chart-forecast-blocks" in page


def test_what_a_block_is_worth_has_the_interval_of_its_questions(
    tiny: Model, colours: Task, study: Path, tmp_path: Path
) -> None:
    found = layercliff.forecast(tiny, colours, study=study, out=tmp_path / "run").measured

    def margins(model: Model) -> np.ndarray:
        trace = layercliff.trace(model, colours).trace
        chosen = np.array([half == "select" for half in trace.half_of])
        (last,) = decision.margin(decision.probabilities(trace.scores[-1:], trace.mask), trace.mask, trace.gold)
        return np.asarray(last[chosen])

    trace = layercliff.trace(tiny, colours).trace
    groups = [group for group, half in zip(trace.groups, trace.half_of, strict=True) if half == "select"]
    drawn = Resamples.draw(groups)
    dense = margins(tiny)
    for block in (0, 3):
        with surgery.pruned(tiny.network, [b for b in range(tiny.n_layers) if b != block]):
            without = margins(Model.of(tiny.network, tiny.tokenizer, "without"))
        lost = mean_curve((dense - without)[None], drawn)
        ends = (lost.low[0], lost.high[0])
        assert (found.lost_low[block], found.lost_high[block]) == pytest.approx(ends, abs=1e-5)
    assert (found.lost_low < found.lost_high).all()


def test_a_path_begins_with_what_was_measured(
    tiny: Model, colours: Task, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = layercliff.forecast(tiny, colours, study=study, out=tmp_path / "run")
    monkeypatch.delattr(IterativeSelector, "_swept")
    path = layercliff.prune(tiny, colours, remove=1, assess=False, out=tmp_path / "run")
    assert dict(path.steps[1].scores) == dict(enumerate(found.measured.without))


def test_an_older_directory_keeps_its_names(tiny: Model, colours: Task, study: Path, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    found = layercliff.forecast(tiny, colours, study=study, out=run.path)
    older = (run.path / "forecast").rename(run.path / "foretell")
    (older / "forecast.json").rename(older / "foretold.json")
    kept = forecasts.read(run)
    assert kept is not None
    assert kept.predicted == found.predicted
    (older / "features.json").unlink()
    (older / "foretold.json").unlink()
    layercliff.forecast(tiny, colours, study=study, out=run.path)
    assert {file.name for file in older.iterdir()} == {"blocks.parquet", "features.json", "foretold.json"}
    assert not (run.path / "forecast").exists()
    with pytest.warns(DeprecationWarning, match="foretold is called predicted now"):
        assert found.foretold == found.predicted  # type: ignore[attr-defined]


def test_the_rule_is_the_studys(tiny: Model, colours: Task, study: Path, tmp_path: Path) -> None:
    """A model outside of the study is told."""
    found = layercliff.forecast(tiny, colours, study=study, out=tmp_path / "run")
    assert found.predicted.ratio == pytest.approx(
        np.clip(1 - 0.7 * found.measured.features["transition"], 0, 1), abs=0.05
    )
    assert found.measured.features["transition"] > 0.3  # a random model decides late or not at all
    assert any(reason.startswith("transition is") for reason in found.predicted.outside)


def test_the_rule_that_ships(tiny: Model, colours: Task, tmp_path: Path) -> None:
    found = layercliff.forecast(tiny, colours, out=tmp_path / "run")
    training = forecasts.training_table()
    assert found.source == training.source == "the rule that ships with layercliff"
    assert found.rows == len(training.rows) >= LEAST_ROWS
    assert found.models == training.models
    assert training.rows["ratio"].is_between(0, 1).all()


def test_without_a_rule_nothing_is_computed(
    tiny: Model, colours: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecasts, "SHIPPED", "nothing.csv")
    with pytest.raises(RunError, match="No rule ships with this version of layercliff"):
        layercliff.forecast(tiny, colours, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(RunError, match="is no finished study"):
        layercliff.forecast(tiny, colours, study=tmp_path, out=tmp_path / "run")
    pl.DataFrame({"model": ["a"], "ratio": [0.5]} | dict.fromkeys(FEATURES, 0.5)).write_parquet(
        tmp_path / "training.parquet"
    )
    with pytest.raises(RunError, match="it takes at least 2 models"):
        layercliff.forecast(tiny, colours, study=tmp_path, out=tmp_path / "run")


def test_refusals(tiny: Model, colours: Task, study: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="give one with --out"):
        layercliff.forecast(tiny, colours, study=study)
    other = Task("others", colours.questions, "s", "l", "letter")
    with pytest.raises(RunError, match="one task at a time"):
        layercliff.forecast(tiny, [colours, other], study=study, out=tmp_path / "run")


def test_the_command(study: Path, tmp_path: Path, here: Here) -> None:
    model, words = families.saved(tmp_path / "model"), word_tasks.written(tmp_path)
    about = ("-m", model, "-t", words, "-f", "letter", "--limit", 16, "--device", "cpu")
    done = here("forecast", *about, "-o", tmp_path / "run", "--study", study)
    assert done.returncode == 0, done.stderr
    assert "Forecast before anything is pruned" in done.stdout
    assert "of the blocks are gone" in done.stdout
    former = here("foretell", *about, "-o", tmp_path / "run", "--study", study)
    assert (former.returncode, former.stdout) == (0, done.stdout)
    assert "The command foretell is called forecast now." in former.stderr
    assert "foretell" not in here("--help").stdout
