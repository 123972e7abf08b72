"""Batches hold every row once, within the budget, padded on the right."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from layercliff.readout.batches import plan
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
    assert batch.ids(torch.device("cpu")).tolist() == [[5, 6, 7], [7, 8, 0]]


def test_nothing_gives_nothing() -> None:
    assert plan([], 10) == ()
