"""Tasks by name."""

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
    """Two files that are called the same, in two directories, one of which has a sign in its name that names are told by."""
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
