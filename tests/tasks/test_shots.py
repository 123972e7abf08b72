"""Worked examples: one set for all, or drawn as lm-evaluation-harness draws them (itself the oracle in
test_harness.py)."""

import random
from dataclasses import replace

import pytest

from layercliff.errors import TaskError
from layercliff.tasks import shots, splits
from layercliff.tasks.question import Question, Task


def questions(n: int, name: str = "q", subject: str = "") -> tuple[Question, ...]:
    return tuple(Question(f"{name}{i}", f"{name} {i}?", ("a", "b"), 0, f"{name}{i}", subject) for i in range(n))


TASK = Task("t", questions(12), "s", "l", "cloze", shots=questions(9, "shot"))
OWN = replace(TASK, shots=())


def test_drawn_for_each_document_in_the_documents_order() -> None:
    draw = random.Random(1234)
    for question, examples in zip(TASK.questions, shots.of_harness(TASK, "per_item", 3).values(), strict=True):
        assert examples == tuple(draw.sample(TASK.shots, 3)), question.id


def test_shuffle_and_limit_do_not_change_a_documents_examples() -> None:
    whole = shots.of_harness(TASK, "per_item", 2)
    for seed in (0, 1):
        asked, examples = splits.draw(TASK, seed, 5, 2, "per_item")
        assert [whole[question.id] for question in asked] == list(examples)


@pytest.mark.parametrize("task", [OWN, replace(TASK, spare_shot=True)])
def test_one_more_is_drawn_where_the_pool_may_hold_the_document(task: Task) -> None:
    draw = random.Random(1234)
    for question in task.questions:
        drawn = draw.sample(task.shots or task.questions, 3)
        expected = tuple(shot for shot in drawn if shot != question)[:2]
        assert shots.of_harness(task, "per_item", 2)[question.id] == expected


def test_the_first_ones() -> None:
    assert set(shots.of_harness(TASK, "first_n", 2).values()) == {TASK.shots[:2]}
    own = shots.of_harness(OWN, "first_n", 2)
    assert [shot.id for shot in own["q0"]] == ["q1", "q2"]
    assert [shot.id for shot in own["q1"]] == ["q0", "q2"]
    assert [shot.id for shot in own["q5"]] == ["q0", "q1"]


def test_a_doubled_document_never_stands_before_itself() -> None:
    twice = replace(OWN, questions=(*OWN.questions[:2], replace(OWN.questions[0], id="again", group="again")))
    for seed_free in (1, 2):
        examples = shots.of_harness(
            replace(twice, questions=(*twice.questions, *questions(1, "more"))), "per_item", seed_free
        )
        assert all(shot.text != "q 0?" for name in ("q0", "again") for shot in examples[name])


def test_examples_of_the_same_subject() -> None:
    mixed = Task(
        "t",
        (*questions(4, "x", "one"), *questions(4, "y", "two")),
        "s",
        "l",
        "cloze",
        shots=(*questions(3, "p", "one"), *questions(3, "r", "two")),
    )
    for sampler in ("fixed", "first_n", "per_item"):
        asked, examples = splits.draw(mixed, 0, None, 2, sampler)  # type: ignore[arg-type]
        assert len(asked) == 8
        assert {(q.subject, shot.subject) for q, found in zip(asked, examples, strict=True) for shot in found} == {
            ("one", "one"),
            ("two", "two"),
        }
    own, examples = splits.draw(replace(mixed, shots=()), 0, None, 1)
    assert len(own) == 6
    assert not {shot.id for found in examples for shot in found} & {q.id for q in own}


def test_the_first_of_a_pool_need_no_spare() -> None:
    task = replace(TASK, spare_shot=True)
    assert set(shots.of_harness(task, "first_n", 9).values()) == {TASK.shots}
    with pytest.raises(TaskError, match="9 worked examples where 10 are needed"):
        shots.of_harness(task, "per_item", 9)


@pytest.mark.parametrize("sampler", ["fixed", "first_n", "per_item"])
def test_too_few(sampler: str) -> None:
    with pytest.raises(TaskError, match="9 worked examples where 10 are needed"):
        splits.draw(TASK, 0, None, 10, sampler)  # type: ignore[arg-type]
