"""Tasks by name."""

import os
from pathlib import Path

import pytest

from layercliff.errors import TaskError
from layercliff.tasks import registry


def test_unknown_task_offers_the_nearest() -> None:
    with pytest.raises(TaskError, match="did you mean cities"):
        registry.load("citis")


def test_a_task_named_twice_is_refused() -> None:
    with pytest.raises(TaskError, match="same name"):
        registry.load("capitals,capitals")


def test_nothing_named() -> None:
    with pytest.raises(TaskError, match="No task was named"):
        registry.load(" , ")


def test_joined() -> None:
    assert [task.name for task in registry.load("capitals, cities")] == ["capitals", "cities"]


def test_an_unknown_task_names_each_task_once_and_no_subject(tmp_path: Path) -> None:
    with pytest.raises(TaskError) as found:
        registry.load("zzzz")
    assert str(found.value).count("arc_easy") == 1
    assert "mmlu_" not in str(found.value)
    (tmp_path / "q.txt").write_text("")
    with pytest.raises(TaskError, match=r"the file of this name is neither \.jsonl nor \.csv"):
        registry.load(str(tmp_path / "q.txt"))


def test_a_file_of_questions_may_be_named(tmp_path: Path) -> None:
    """Two files that are called the same, in two directories, one of which has a sign in its name that names are told
    by."""
    row = '{"question": "q", "options": ["a", "b"], "answer": 0}'
    for folder in ("one", "k=2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "test.jsonl").write_text(row)
    one, two = tmp_path / "one/test.jsonl", tmp_path / "k=2/test.jsonl"
    with pytest.raises(TaskError, match="NAME=FILE"):
        registry.load(f"{one},{two}")
    found = registry.load(f"{one},mine={two}")
    assert [(task.name, task.asked_for) for task in found] == [("test", str(one)), ("mine", f"mine={two}")]
    assert registry.load(found[1].source)[0].name == "mine"  # what a command that is to be repeated says
    with pytest.raises(TaskError, match=r"no task file .*three\.jsonl"):
        registry.load("mine=three.jsonl")


ROW = '{"question": "q", "options": ["a", "b"], "answer": 0}'


def test_a_path_may_have_commas(tmp_path: Path) -> None:
    (tmp_path / "a,b").mkdir()
    one, two = tmp_path / "a,b/one, two.jsonl", tmp_path / "three.jsonl"
    one.write_text(ROW)
    two.write_text(ROW)
    for wanted in (f"{one},{two}", f"{two},{one}", f"{two} , {one} ,", f"mine={one},{two}"):
        assert len(registry.load(wanted)) == 2
    found = registry.load(f"mine={one},{two}")
    assert [task.asked_for for task in found] == [f"mine={one}", str(two)]
    assert registry.load(",".join(task.asked_for for task in found)) == found
    assert registry.parts_of("a,b," * 50_000) == ["a", "b"] * 50_000  # in no time


def test_a_suffix_may_be_in_capitals(tmp_path: Path) -> None:
    (tmp_path / "Q.JSONL").write_text(ROW)
    assert registry.load(str(tmp_path / "Q.JSONL"))[0].name == "Q"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("x" * 300 + ".jsonl", "cannot be opened .File name too long.: check the path"),
        ("x" * 300, "There is no task 'xxx.*xxx': known are"),
        ("mine=" + "x" * 300 + ".csv", "cannot be opened .File name too long."),
        ("arc_easy=" + "x" * 300, "is neither .jsonl nor .csv"),
        ("bad\udcff.jsonl", "The name of the task file 'bad.udcff.jsonl' is not UTF-8: rename the file"),
        ("nul\0.jsonl", "holds a NUL"),
        ("~nobody-here/t.jsonl", "begins with ~, but there is no such home"),
        ("loop.jsonl", "is a link that leads nowhere"),
        ("arc_easy=loop.jsonl", "is a link that leads nowhere"),
        ("folder.jsonl", "is a directory"),
        ("pipe.jsonl", "no ordinary file"),
    ],
)
def test_names_that_no_file_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, sentence: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop.jsonl").symlink_to("loop.jsonl")
    Path("folder.jsonl").mkdir()
    os.mkfifo("pipe.jsonl")
    with pytest.raises(TaskError, match=sentence) as refused:
        registry.load(name)
    assert len(str(refused.value)) < 600
