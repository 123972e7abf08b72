"""Batches hold every row once, within the budget, padded on the right."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from layercliff.readout.batches import Batch, plan
from layercliff.readout.encode import Row


@given(st.lists(st.integers(1, 90), min_size=1, max_size=120), st.integers(1, 2000))
def test_every_row_once_within_the_budget(lengths: list[int], budget: int) -> None:
    rows = [Row(i, None, tuple(range(1, n + 1)), (1, 2)) for i, n in enumerate(lengths)]
    batches = plan(rows, budget)
    assert sorted(row.question for batch in batches for row in batch.rows) == list(range(len(rows)))
    assert all(batch.padded_tokens <= budget or len(batch.rows) == 1 for batch in batches)
    assert plan(list(reversed(rows)), budget) == batches
    widths = [len(batch.rows[0].tokens) for batch in batches]
    assert widths == sorted(widths, reverse=True)  # what needs most memory comes first


def test_padding_is_on_the_right() -> None:
    (batch,) = plan([Row(0, None, (7, 8), (1,)), Row(1, None, (5, 6, 7), (1,))], 100)
    assert batch.levels(torch.device("cpu"))[0].ids.tolist() == [[5, 6, 7], [7, 8, 0]]


def test_nothing_gives_nothing() -> None:
    assert plan([], 10) == ()


def _written_out(batch: Batch) -> list[list[int]]:
    """Every row's tokens put together from the levels again."""
    levels = batch.levels(torch.device("cpu"))
    found = [[int(t) for t in row] for row in levels[0].ids]
    for level in levels[1:]:
        assert level.parent is not None
        found = [found[p] + row.tolist() for p, row in zip(level.parent.tolist(), level.ids, strict=True)]
    return found


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.lists(st.integers(1, 6), min_size=1, max_size=5)), min_size=1, max_size=40
    ),
    st.integers(0, 6),
    st.integers(20, 400),
)
def test_sharing_runs_each_beginning_once_and_loses_no_token(
    questions: list[tuple[int, list[int]]], lead: int, budget: int
) -> None:
    """Questions of several continuations after a common beginning."""
    rows = []
    for q, (stem, options) in enumerate(questions):
        context = (*range(1, lead + 1), *(100 + q for _ in range(stem)), 99)
        for o, length in enumerate(options):
            targets = tuple(1000 + 10 * o + j for j in range(length))
            rows.append(Row(q, o, context + targets[:-1], targets))
    batches = plan(rows, budget, share=True)
    assert sorted((r.question, r.option) for b in batches for r in b.rows) == [(r.question, r.option) for r in rows]
    assert plan(list(reversed(rows)), budget, share=True) == batches
    for batch in batches:
        assert batch.padded_tokens == sum(level.ids.numel() for level in batch.levels(torch.device("cpu")))
        assert batch.padded_tokens <= budget or len({row.question for row in batch.rows}) == 1
        assert batch.padded_tokens <= Batch(batch.rows).padded_tokens
        for row, written in zip(batch.rows, _written_out(batch), strict=True):
            assert tuple(written[: len(row.tokens)]) == row.tokens
            assert set(written[len(row.tokens) :]) <= {0}
            assert batch.shared <= len(row.tokens) - len(row.targets)
        for half in batch.halves():
            assert (
                all(tuple(w[: len(r.tokens)]) == r.tokens for r, w in zip(half.rows, _written_out(half), strict=True))
                if half.rows
                else True
            )
