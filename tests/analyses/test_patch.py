"""The patch verb on tiny models: a model into itself, both ends of a pruned one, files, refusals."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import word_tasks

import layercliff
from layercliff.errors import RunError
from layercliff.models.model import Model
from layercliff.tasks.question import Task

L = 5


@pytest.fixture(scope="module")
def task() -> Task:
    return word_tasks.task(30, "first_token")


@pytest.fixture(scope="module")
def run(tiny: Model, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("patched") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYERCLIFF_CACHE", str(directory.parent / "cache"))
        layercliff.prune(tiny, task, remove=3, assess=False, out=directory)
    return directory


@pytest.mark.parametrize("positions", ["all", "decision"])
def test_the_dense_step_patched_into_itself_changes_nothing(tiny: Model, task: Task, run: Path, positions: str) -> None:
    found = layercliff.patch(tiny, task, steps=(0,), positions=positions, resume=False, out=run)
    own, into_pruned, into_dense = found.scores.reshape(3, L + 1, *found.scores.shape[1:])
    np.testing.assert_array_equal(own, found.trace.scores)
    for depth in range(L + 1):
        np.testing.assert_array_equal(into_pruned[depth], found.trace.scores[-1])
        np.testing.assert_array_equal(into_dense[depth], found.trace.scores[-1])
    table = pl.read_parquet(run / "patch" / "patch.parquet")
    assert (table["margin_change"] == 0).all()
    assert (table["margin_gain"] == 0).all()


def test_steps_of_a_path(tiny: Model, task: Task, run: Path) -> None:
    found = layercliff.patch(tiny, task, steps=(1, 3), resume=False, out=run)
    assert set(found.trace.half_of) == {"report"}
    path = layercliff.prune(tiny, task, remove=3, assess=False, out=run)
    table = pl.read_parquet(run / "patch" / "patch.parquet")
    for step in (1, 3):
        rows = table.filter((pl.col("step") == step) & (pl.col("into") == "pruned")).to_dicts()
        pruned, dense = (path.analyses[k]["words"].margin.point[-1] for k in (step, 0))
        assert rows[0]["margin"] == pytest.approx(pruned, abs=1e-4)  # both receive the same embeddings
        assert rows[0]["margin_gain"] == pytest.approx(0, abs=1e-4)
        assert rows[0]["margin_change"] == pytest.approx(pruned - dense, abs=1e-4)
        assert [row["dense"] for row in rows] == [0, *(b + 1 for b in path.steps[step].kept)]
        back = table.filter((pl.col("step") == step) & (pl.col("into") == "dense")).to_dicts()
        assert back[0]["margin_change"] == pytest.approx(0, abs=1e-4)
    names = {path.stem for path in layercliff.figures(run, ("svg",)) if path.stem.startswith("patch")}
    assert names == {f"patch-step-{step}-{value}" for step in (1, 3) for value in ("margin", "accuracy")}
    assert "States exchanged with pruned models" in (run / "report.html").read_text()
    again = layercliff.patch(tiny, task, steps=(1, 3), out=run)
    np.testing.assert_array_equal(again.scores, found.scores)


def test_refusals(tiny: Model, task: Task, run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="name a run directory"):
        layercliff.patch(tiny, task)
    layercliff.trace(tiny, task, out=tmp_path / "run")
    with pytest.raises(RunError, match="holds no finished path"):
        layercliff.patch(tiny, task, out=tmp_path / "run")
    with pytest.raises(RunError, match="there is no step 7"):
        layercliff.patch(tiny, task, steps=(7,), out=run)
