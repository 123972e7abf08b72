"""Criteria and benchmarks that were added: listed, planned, raced, read again when they are gone."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import families
import polars as pl
import pytest
import test_extending
import word_tasks
from commands import Here

import layercliff
from layercliff.errors import TaskError
from layercliff.models.model import Model
from layercliff.pruning import criteria, criterion
from layercliff.pruning import result as results
from layercliff.pruning.figures import figures
from layercliff.run.directory import RunDirectory
from layercliff.tasks import registry, rows
from layercliff.tasks.benchmark import Benchmark
from layercliff.tasks.benchmarks import BENCHMARKS
from layercliff.tasks.question import Question, Task

RECIPES = test_extending.sections()["Add a criterion"]


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two more files in the folder of criteria, as long as the test runs."""
    folder = tmp_path / test_extending.follow(RECIPES, tmp_path)[0]
    monkeypatch.setattr(criterion, "_REGISTERED", dict(criterion.registered()))
    monkeypatch.setattr(criteria, "__path__", [*criteria.__path__, str(folder.parent)])
    yield
    for name in ("update_norm", "gold_probability"):
        sys.modules.pop(f"{criteria.__name__}.{name}", None)


@pytest.mark.usefixtures("added")
def test_a_new_criterion_prunes(tiny: Model, colours: Task, tmp_path: Path, here: Here) -> None:
    paths = layercliff.compare(tiny, colours, ["tail", "update_norm"], remove=2, out=tmp_path / "run")
    assert [path.criterion_name for path in paths] == ["tail", "update_norm"]
    first = paths[1].steps[1]
    assert first.removed == (max(first.scores, key=lambda block: first.scores[block]),)
    assert paths[1].cost["selection_block_passes"] > 0
    table = pl.read_parquet(tmp_path / "run" / "compare" / "criteria.parquet")
    assert table["about"][1] == "one shot: the block that adds least to the residual stream"
    listed = " ".join(here("criteria").stdout.split())
    assert "update_norm" in listed
    assert "gold_probability" in listed


@pytest.mark.usefixtures("added")
def test_a_new_iterative_criterion_is_raced_and_planned(tiny: Model, tmp_path: Path) -> None:
    task = word_tasks.task(80, "first_token")
    raced = layercliff.prune(tiny, task, criterion="gold_probability", race=0.05, remove=2, assess=False)
    assert raced.steps[1].seen
    grid = {
        "models": [families.saved(tmp_path / "model")], "tasks": [word_tasks.written(tmp_path)],
        "formats": ["letter"], "remove": 2, "forecast": False, "device": "cpu",
    }  # fmt: skip
    planned = [
        layercliff.plan_study(grid | {"criteria": [name]}).block_passes
        for name in ("tail", "update_norm", "gold_probability", "margin")
    ]
    assert planned[0] < planned[1] < planned[2] == planned[3]


def test_a_path_outlives_its_criterion(
    tiny: Model, colours: Task, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(criterion, "_REGISTERED", dict(criterion.registered()))
        about = "the last block first, once more"
        tail = criterion.named("tail").make
        criterion.criterion("gone", kind="fixed order", about=about, citation="ours", cost="nothing")(tail)
        layercliff.prune(tiny, colours, criterion="gone", remove=2, assess=False, out=tmp_path / "run")
    assert "gone" not in criterion.registered()
    kept = results.read(RunDirectory(tmp_path / "run"), "gone")
    assert kept is not None
    assert (kept.criterion.about, kept.criterion.citation) == (about, "ours")
    assert f"gone (fixed order: {about})" in list(figures(kept))[-1].caption


RIDDLES = Benchmark(
    about="riddles", licence="made up", options="3", chance="1/3",
    make=lambda row, line: Question(
        line, rows.text_of(row, "riddle"), rows.texts_of(row, "ends"), int(row["right"]), line
    ),
    prompt="Riddle: {question}\nAnswer:",
)  # fmt: skip


def riddles(directory: Path) -> Path:
    file = directory / "riddles.jsonl"
    words = word_tasks.WORDS
    made = [
        {"riddle": f"what is {i}?", "ends": [words[(i + j) % 8] for j in range(3)], "right": i % 3} for i in range(24)
    ]
    file.write_text("\n".join(map(json.dumps, made)))
    return file


def test_a_benchmark_from_a_file(tiny: Model, tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry without a wheel, digests, numbers or a dataset on the hub."""
    monkeypatch.setitem(BENCHMARKS, "riddles", RIDDLES)
    file = riddles(tmp_path)
    pruned = layercliff.prune(tiny, f"riddles={file}", format="letter", criterion="head", remove=1, assess=False)
    assert pruned.steps[1].removed == (0,)
    (task,) = registry.load(f"riddles={file}")
    assert task.questions[1] == Question("2", "what is 1?", ("red", "green", "yellow"), 1, "2")
    assert (task.prompt, task.licence) == ("Riddle: {question}\nAnswer:", "made up")
    assert task.source == f"{file} (24 questions)"
    assert "riddles" in here("tasks").stdout
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "validation.jsonl").write_text(file.read_text())
    assert registry.load(f"riddles={tmp_path / 'splits'}")[0].questions == task.questions
    with pytest.raises(TaskError, match=r"No dataset on the hub is known for riddles: .* as --task riddles=FILE"):
        registry.load("riddles")
    with pytest.raises(TaskError, match="did you mean riddles"):
        registry.load("ridles")


def test_a_benchmark_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a wheel, its name alone means the hub; a file is the cure where that cannot be reached."""
    monkeypatch.setitem(BENCHMARKS, "riddles", replace(RIDDLES, hub="some/riddles"))
    made = [json.loads(line) for line in riddles(tmp_path).read_text().splitlines()]
    (tmp_path / "hub").mkdir()
    pl.DataFrame(made).write_parquet(tmp_path / "hub" / "validation-00000-of-00001.parquet")
    with monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(tmp_path / "hub"))
        (task,) = registry.load("riddles")
        assert (len(task.questions), task.split) == (24, "validation")
        assert registry.load("riddles=hub")[0].questions == task.questions
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TaskError, match=r"cannot be had from the hub \(.*\): use --task riddles=FILE"):
        registry.load("riddles")
