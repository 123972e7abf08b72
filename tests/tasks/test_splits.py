"""Shuffle, worked examples, limit, halves: seeded, disjoint, by group."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layercliff.errors import TaskError
from layercliff.tasks import splits
from layercliff.tasks.question import Question, Task


def task(groups: list[int]) -> Task:
    return Task(
        "t", tuple(Question(str(i), "q", ("a", "b"), 0, str(g)) for i, g in enumerate(groups)), "s", "l", "cloze"
    )


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(0, 5))
def test_halves_are_disjoint_whole_groups_and_even(groups: list[int], seed: int) -> None:
    questions = task(groups).questions
    half = splits.halves(questions, seed)
    assert set(half) == {q.id for q in questions}
    for group in set(groups):
        assert len({half[q.id] for q in questions if q.group == str(group)}) == 1
    sizes = [list(half.values()).count(h) for h in ("select", "report")]
    assert abs(sizes[0] - sizes[1]) <= max(groups.count(g) for g in groups)


@given(st.lists(st.integers(0, 9), min_size=12, max_size=60), st.integers(0, 5), st.integers(1, 4))
def test_worked_examples_share_no_group_with_questions(groups: list[int], seed: int, shots: int) -> None:
    try:
        asked, examples = splits.draw(task(groups), seed, None, shots)
    except TaskError:
        return
    assert len(set(examples)) == 1
    assert len(examples[0]) == shots
    assert not {q.group for q in asked} & {q.group for q in examples[0]}


def test_limit_acts_after_the_shuffle() -> None:
    whole, _ = splits.draw(task(list(range(50))), 3)
    some, _ = splits.draw(task(list(range(50))), 3, 10)
    assert some == whole[:10]
    assert [q.id for q in some] != [str(i) for i in range(10)]
    assert splits.draw(task(list(range(50))), 4, 10)[0] != some


def test_examples_come_from_the_pool_where_there_is_one() -> None:
    pool = tuple(Question(f"shot{i}", "q", ("a", "b"), 0, f"s{i}") for i in range(3))
    asked, examples = splits.draw(replace(task(list(range(9))), shots=pool), 0, None, 2)
    assert len(asked) == 9
    assert len(examples) == 9
    assert {e.id for shots in examples for e in shots} <= {p.id for p in pool}
    with pytest.raises(TaskError, match="3 worked examples where 4 are needed"):
        splits.draw(replace(task(list(range(9))), shots=pool), 0, None, 4)


def test_no_question_left() -> None:
    with pytest.raises(TaskError, match=r"no question left.* use fewer than 3 --shots"):
        splits.draw(task([1, 2, 3]), 0, None, 3)
    with pytest.raises(TaskError, match="has no question: give it some"):
        splits.draw(task([]), 0)


@given(st.lists(st.integers(0, 9), min_size=12, max_size=60), st.integers(0, 5), st.integers(1, 10), st.integers(0, 2))
def test_training_shares_no_group_with_what_is_asked(groups: list[int], seed: int, limit: int, shots: int) -> None:
    numbered = Task(
        "t", tuple(Question(f"q{i}", f"{i}?", ("a", "b"), 0, str(g)) for i, g in enumerate(groups)), "s", "l", "cloze"
    )
    try:
        asked, examples = splits.draw(numbered, seed, limit, shots)
    except TaskError:
        return
    left, shown = splits.unasked(numbered, seed, limit, shots)
    taken = {q.group for q in asked} | {q.group for found in examples for q in found}
    assert {q.id for q in left} == {q.id for q in numbered.questions if q.group not in taken}
    assert all(found == examples[0] for found in shown)
    assert len(shown) == len(left)


def test_a_pool_is_left_for_training() -> None:
    """Its examples and asked questions are not."""
    asked = tuple(Question(str(i), f"{i}?", ("a", "b"), 0, f"g{i}") for i in range(4))
    pool = (
        Question("0", "another?", ("a", "b"), 0, "0"),  # of the same number as an asked one
        Question("1", "2?", ("a", "b"), 0, "1"),  # says what an asked one says
        Question("2", "related?", ("a", "b"), 0, "g3"),  # of an asked one's group
        Question("3", "third?", ("a", "b"), 0, "3"),
    )
    task = Task("t", asked, "s", "l", "cloze", shots=pool)
    assert [q.id for q in splits.unasked(task, 0)[0]] == ["pool 0", "pool 3"]
    (example,) = splits.draw(task, 0, None, 1)[1][0]
    left, shown = splits.unasked(task, 0, None, 1)
    assert {q.id for q in left} == {"pool 0", "pool 3"} - {f"pool {example.id}"}
    assert set(shown) == {(example,)}
    assert [q.id for q in splits.unasked(task, 0, None, 1, "first_n")[0]] == []
