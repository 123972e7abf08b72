"""Criteria side by side: one run directory, one figure, two tables."""

from pathlib import Path

import families
import numpy as np
import polars as pl
import pytest
import word_tasks

import layercliff
from layercliff.errors import LayercliffError, RunError
from layercliff.models.model import Model
from layercliff.tasks.question import Task


def test_paths_tables_and_figure(tiny: Model, colours: Task, tmp_path: Path) -> None:
    found = layercliff.compare(tiny, colours, ["margin", "tail", "random"], remove=2, draws=5, out=tmp_path / "run")
    assert [path.criterion_name for path in found] == ["margin", "tail", "random"]
    alone = layercliff.prune(tiny, colours, remove=2, criterion="tail")
    assert found[1].steps == alone.steps
    np.testing.assert_array_equal(found[0].traces[0].scores, found[2].traces[0].scores)
    table = pl.read_parquet(tmp_path / "run" / "compare" / "steps.parquet")
    assert len(table) == 9
    paired = table.filter((pl.col("criterion") == "tail") & (pl.col("removed") == 2))["less"].item()
    assert paired == pytest.approx(found[0].correct[2].mean() - found[1].correct[2].mean())
    costs = pl.read_parquet(tmp_path / "run" / "compare" / "criteria.parquet")
    assert costs["block_passes"].to_list()[1:] == [0, 0]
    assert costs["block_passes"][0] > 0
    drawn = [path.name for path in layercliff.figures(tmp_path / "run", ("svg",))]
    assert "compare-accuracy.svg" in drawn
    assert "Criteria compared" in (tmp_path / "run" / "report.html").read_text()


def test_by_default_half_of_the_blocks_go(tiny: Model, colours: Task, tmp_path: Path) -> None:
    found = layercliff.compare(tiny, colours, ["tail", "head"], out=tmp_path / "run")
    assert all(path.gone(len(path.steps) - 1) == 2 for path in found)


def test_refusals(tiny: Model, colours: Task, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="There is no criterion 'magin'"):
        layercliff.compare(tiny, colours, ["magin", "tail"], out=tmp_path / "run")
    with pytest.raises(RunError, match="name at least two criteria"):
        layercliff.compare(tiny, colours, ["tail"], out=tmp_path / "run")


def test_a_path_of_several_is_named_by_its_criterion(tmp_path: Path) -> None:
    model, words = families.saved(tmp_path / "model"), word_tasks.written(tmp_path)
    run = tmp_path / "run"
    layercliff.compare(model, words, ["tail", "head"], remove=1, format="letter", device="cpu", out=run)
    assert layercliff.plan(f"{run}/prune/tail@1", words, format="letter").n_layers == 4
    with pytest.raises(LayercliffError, match="name the criterion as"):
        layercliff.load(f"{run}@1", device="cpu")
    layercliff.prune(model, words, remove=1, format="letter", device="cpu", out=run)
    assert layercliff.load(f"{run}@1", device="cpu").n_layers == 4
