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
