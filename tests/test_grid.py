"""Study files: what is mistyped is refused in a sentence, and cells are every combination."""

from pathlib import Path

import pytest

from layercliff.errors import RunError
from layercliff.grid import Grid

SHIPPED = sorted((Path(__file__).parent.parent / "docs" / "studies").glob("*.yaml"))

SMALL = {"models": ["a", "b/c"], "tasks": ["capitals", {"task": "arc_easy", "format": "cloze", "limit": 50}]}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("models: [a]", "tasks is missing: a study names its models and tasks"),
        ("models: [a]\ntasks: [t]\nshedules: [margin]", "there is no setting 'shedules': did you mean schedules"),
        ("models: [a]\ntasks: [{task: t, limt: 3}]", "there is no setting 'tasks.0.limt': did you mean limit?"),
        ("models: [a]\ntasks: [t]\nschedules: [magin]", "schedules.0: there is no 'magin': did you mean margin"),
        ("models: [a]\ntasks: [t]\nseeds: [zero]", "seeds.0 is 'zero', and must be a whole number."),
        ("models: a\ntasks: [t]", "models is 'a', and must be a list."),
        ("models: []\ntasks: [t]", "models is empty: name at least one."),
        ("models: [a, a]\ntasks: [t]", "models holds 'a' twice: leave one out"),
        ("models: [a]\ntasks: [t]\nseeds: [0, 0]", "seeds holds 0 twice: leave one out"),
        (
            "models: [a]\ntasks: [t, {task: t, format: cloze}]\nformats: [letter, cloze]",
            "tasks holds 't' twice for one figure, where it would count as two seeds: leave one out, or name its formats under formats.",
        ),
        (
            "models: [a]\ntasks: [{task: t, format: letter}, {task: t, format: cloze}]",
            "tasks holds 't' twice for one figure",
        ),
        (
            "models: [a]\ntasks: [{task: t, limit: 50}, {task: t, limit: 100}]\nschedules: [tail]",
            "tasks holds 't' twice for one figure",
        ),
        ("models: [a]\ntasks: [t]\nremove: 3\nto_ratio: 0.5", "remove and to_ratio both end a path"),
        ("models: [a]\ntasks: [t]\nto_ratio: 1.5", "to_ratio is 1.5, which should be less than 1."),
        ("- a\n- b", "holds no settings: give at least models and tasks"),
        ("models: [a", "is not YAML"),
    ],
)
def test_refusals(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "s.yaml").write_text(content)
    with pytest.raises(RunError) as refused:
        Grid.read(tmp_path / "s.yaml")
    assert sentence in str(refused.value)
    assert "s.yaml" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be read"):
        Grid.read(tmp_path / "none.yaml")


def test_every_combination_once_and_a_directory_for_each_subject() -> None:
    grid = Grid.of(SMALL | {"schedules": ["margin", "tail"], "seeds": [0, 1], "limit": 30})
    cells = list(grid.cells())
    assert len(cells) == len(set(cells)) == 2 * 2 * 2 * 2
    assert len({cell.directory for cell in cells}) == 8
    assert {(c.asking.task, c.asking.format, c.asking.limit, c.panel) for c in cells} == {
        ("capitals", None, 30, "own"),
        ("arc_easy", "cloze", 50, "own"),
    }
    assert all(".." not in c.directory and c.directory.count("/") == 2 for c in cells)
    assert [c.model for c in cells] == ["a"] * 8 + ["b/c"] * 8


def test_formats_are_panels_and_a_tasks_own_one_stands() -> None:
    cells = list(Grid.of(SMALL | {"formats": ["letter", "cloze"]}).cells())
    assert {(c.asking.task, c.panel, c.asking.format) for c in cells} == {
        ("capitals", "letter", "letter"),
        ("capitals", "cloze", "cloze"),
        ("arc_easy", "cloze", "cloze"),
    }


def test_a_task_may_be_asked_again_in_another_format() -> None:
    twice = [{"task": "t", "format": "letter", "limit": 50}, {"task": "t", "format": "cloze", "limit": 100}]
    grid = Grid.of({"models": ["a"], "tasks": twice, "formats": ["letter"], "schedules": ["margin", "tail"]})
    assert [(c.directory, c.schedule) for c in grid.cells()] == [
        ("cells/a/t-letter-0", "margin"), ("cells/a/t-letter-0", "tail"), ("cells/a/t-cloze-0", "margin"), ("cells/a/t-cloze-0", "tail"),
    ]  # fmt: skip


def test_names_that_look_alike_in_a_path_are_told_apart() -> None:
    grid = Grid.of({"models": ["a/b", "a-b", "../a b"], "tasks": ["t"]})
    found = [cell.directory for cell in grid.cells()]
    assert len(set(found)) == 3
    assert all(".." not in path.split("/") for path in found)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_study_files_that_come_with_layercliff(file: Path) -> None:
    grid = Grid.read(file)
    assert list(grid.cells())
    assert "margin" in grid.schedules


def test_the_papers_models_are_among_them() -> None:
    assert {"paper", "packaged"} <= {file.stem for file in SHIPPED}
    paper = next(Grid.read(file) for file in SHIPPED if file.stem == "paper")
    assert {"meta-llama/Meta-Llama-3-8B", "meta-llama/Llama-2-7b-hf", "Qwen/Qwen3-4B"} <= set(paper.models)
    assert {asking.task.partition("=")[0] for asking in paper.tasks} == {"arc_challenge", "arc_easy", "hellaswag"}
