"""Study files: what is mistyped is refused in a sentence, and cells are every combination."""

from pathlib import Path

import pytest

from layercliff.errors import RunError
from layercliff.run import yaml_files
from layercliff.studies.grid import Grid

SHIPPED = sorted((Path(__file__).parents[2] / "docs" / "studies").glob("*.yaml"))

BOMB = "\n".join(["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40))])
MERGED = "\n".join(["a0: &a0 {x: 1}", *(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, 40))])

SMALL = {"models": ["a", "b/c"], "tasks": ["capitals", {"task": "arc_easy", "format": "cloze", "limit": 50}]}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("models: [a]", "tasks is missing: a study names its models and tasks"),
        ("models: [a]\ntasks: [t]\ncritera: [margin]", "there is no setting 'critera': did you mean criteria"),
        ("models: [a]\ntasks: [{task: t, limt: 3}]", "there is no setting 'tasks.0.limt': did you mean limit?"),
        ("models: [a]\ntasks: [t]\nschedules: [magin]", "There is no criterion 'magin': did you mean margin"),
        ("models: [a]\ntasks: [t]\nseeds: [zero]", "seeds.0 is 'zero', and must be a whole number."),
        ("models: a\ntasks: [t]", "models is 'a', and must be a list."),
        ("models: []\ntasks: [t]", "models is empty: name at least one."),
        ("models: [a, a]\ntasks: [t]", "models holds 'a' twice: leave one out"),
        ("models: [a]\ntasks: [t]\nseeds: [0, 0]", "seeds holds 0 twice: leave one out"),
        (
            "models: [a]\ntasks: [t, {task: t, format: cloze}]\nformats: [letter, cloze]",
            "tasks holds 't' twice for one figure, where it would count as two seeds: leave one out, or name its "
            "formats under formats.",
        ),
        (
            "models: [a]\ntasks: [{task: t, format: letter}, {task: t, format: cloze}]",
            "tasks holds 't' twice for one figure",
        ),
        (
            "models: [a]\ntasks: [{task: t, limit: 50}, {task: t, limit: 100}]\ncriteria: [tail]",
            "tasks holds 't' twice for one figure",
        ),
        ("models: [a]\ntasks: [t]\nremove: 3\nto_ratio: 0.5", "remove and to_ratio both end a path"),
        ("models: [a]\ntasks: [t]\nto_ratio: 1.5", "to_ratio is 1.5, and must be a number between 0 and 1."),
        ("- a\n- b", "holds no settings: give at least models and tasks"),
        ("models: [a", "is not YAML"),
        ("models: [a]\ntasks: [t]\nx: \x07", "is not YAML: unacceptable character #x0007"),
        ("models: [a]\ntasks: [t]\nmodels: [b]", "holds 'models' twice: leave one out"),
        ("models: [a]\ntasks: [t]\nlimit: true", "limit is True, and must be a whole number."),
        ("models: [a]\ntasks: [t]\nseeds: [true]", "seeds is [True], and must be a whole number."),
        ("models: [a]\ntasks: [t]\nmemory_gb: .inf", "memory_gb is inf, and must be a number above 0"),
        ("models: [a]\ntasks: [{task: t, limit: 0}]", "tasks.0.limit is 0, and must be a whole number from 1"),
        ("models: ['']\ntasks: [t]", "models holds '', which names nothing."),
        ('models: ["a\\ud800"]\ntasks: [t]', "which names nothing."),
        ("models: [a]\ntasks: [t]\n1: 2", "there is no setting '1': known are"),
        (f"models: [a]\ntasks: [t]\nseeds: [{'9' * 5000}]", "holds a value that is not what it is written as"),
        ("models: [a]\ntasks: [t]\nlimit: !!int ''", "holds a value that is not what it is written as"),
        ("models: [a]\ntasks: [t]\nchat: !!bool x", "holds a value that is not what it is written as"),
        ("models: [a]\ntasks: [t]\nlimit: !!timestamp x", "holds a value that is not what it is written as"),
        ("models: [a]\ntasks: [t]\nlimit: 2024-99-99", "holds a value that is not what it is written as"),
        ("models: !!python/object/apply:os.system [id]", "is not YAML"),
        ("models: &a [*a]", "has an alias within what it stands for"),
        ("[" * 1500, "too many lists and mappings within one another"),
        (
            f"models: [a]\ntasks: [t]\nseeds: {list(range(1000))}\ncriteria: [margin, tail]".replace(
                "models: [a]", f"models: {[f'm{i}' for i in range(100)]}"
            ),
            "it has 200,000 cells, and more than 100,000 are no study",
        ),
        (BOMB, "stands for more than 100,000 values once its aliases are written out"),
        (MERGED, "stands for more than 100,000 values once its aliases are written out"),
        ("#" * 2_000_000, "is larger than 1 MiB"),
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
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"\xe9")
    for name in ("none.yaml", "loop.yaml", "latin.yaml", "x" * 300, ".", "nul\0", "bad\udcff"):
        with pytest.raises(RunError, match="cannot be read") as refused:
            Grid.read(tmp_path / name)
        assert "\n" not in str(refused.value)


def test_aliases_and_many_cells_are_read() -> None:
    content = yaml_files.parsed("both: &both [a, b]\nmodels: *both\ntasks: *both", "s.yaml")
    assert content == {"both": ["a", "b"], "models": ["a", "b"], "tasks": ["a", "b"]}
    assert yaml_files.parsed("", "s.yaml") is None
    assert yaml_files.parsed("base: &b {x: 1}\nmore: {<<: *b, y: 2}", "s.yaml")["more"] == {"x": 1, "y": 2}
    many = Grid.of({"models": ["a"], "tasks": ["t"], "seeds": list(range(5_000))})  # in no time
    assert len(list(many.cells())) == 5_000


def test_long_names_make_short_paths() -> None:
    (cell,) = Grid.of({"models": ["m" * 5000], "tasks": ["t" * 5000]}).cells()
    assert max(map(len, cell.directory.split("/"))) < 200


def test_every_combination_once_and_a_directory_for_each_subject() -> None:
    grid = Grid.of(SMALL | {"criteria": ["margin", "tail"], "seeds": [0, 1], "limit": 30})
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
    grid = Grid.of({"models": ["a"], "tasks": twice, "formats": ["letter"], "criteria": ["margin", "tail"]})
    assert [(c.directory, c.criterion) for c in grid.cells()] == [
        ("cells/a/t-letter-0", "margin"),
        ("cells/a/t-letter-0", "tail"),
        ("cells/a/t-cloze-0", "margin"),
        ("cells/a/t-cloze-0", "tail"),
    ]


def test_names_that_look_alike_in_a_path_are_told_apart() -> None:
    grid = Grid.of({"models": ["a/b", "a-b", "../a b"], "tasks": ["t"]})
    found = [cell.directory for cell in grid.cells()]
    assert len(set(found)) == 3
    assert all(".." not in path.split("/") for path in found)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_study_files_that_come_with_layercliff(file: Path) -> None:
    grid = Grid.read(file)
    assert list(grid.cells())
    assert "margin" in grid.criteria


def test_the_papers_models_are_among_them() -> None:
    assert {"paper", "packaged"} <= {file.stem for file in SHIPPED}
    paper = next(Grid.read(file) for file in SHIPPED if file.stem == "paper")
    assert {"meta-llama/Meta-Llama-3-8B", "meta-llama/Llama-2-7b-hf", "Qwen/Qwen3-4B"} <= set(paper.models)
    assert {asking.task.partition("=")[0] for asking in paper.tasks} == {"arc_challenge", "arc_easy", "hellaswag"}
