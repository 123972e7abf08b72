"""What a path says in its files."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import layercliff
from layercliff.metrics import collapse
from layercliff.models.model import Model
from layercliff.pruning import result as pruned
from layercliff.run.directory import RunDirectory
from layercliff.tasks.question import Task


@pytest.mark.parametrize("grouped", [True, False])
def test_mcnemar_is_for_independent_questions(tiny: Model, colours: Task, tmp_path: Path, grouped: bool) -> None:
    questions = tuple(q if grouped else replace(q, group=q.id) for q in colours.questions)
    found = layercliff.prune(tiny, replace(colours, questions=questions), remove=1, assess=False, out=tmp_path)
    expected = None if grouped else collapse.mcnemar(found.correct[0], found.correct[1])
    folder = tmp_path / "prune" / found.criterion_name
    assert json.loads((folder / "path.json").read_text())["steps"][1]["paired"]["mcnemar_p"] == expected
    assert pl.read_parquet(folder / "steps.parquet")["mcnemar_p"].to_list() == [None, expected]
    again = pruned.read(RunDirectory(tmp_path), found.criterion_name)
    assert again is not None
    assert again.paired(1) == found.paired(1)
