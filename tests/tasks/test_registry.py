"""Tasks by name."""

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
