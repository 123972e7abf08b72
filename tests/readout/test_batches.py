"""Batches hold every row once, within the budget, padded on the right."""

from itertools import pairwise, product

import torch
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from layercliff.readout.batches import LAUNCH, Batch, plan
from layercliff.readout.encode import TokenRow


@given(st.lists(st.integers(1, 90), min_size=1, max_size=120), st.integers(1, 2000))
def test_every_row_once_within_the_budget(lengths: list[int], budget: int) -> None:
    rows = [TokenRow(i, None, tuple(range(1, n + 1)), (1, 2)) for i, n in enumerate(lengths)]
    batches = plan(rows, budget)
    assert sorted(row.question for batch in batches for row in batch.rows) == list(range(len(rows)))
    assert all(batch.padded_tokens <= budget or len(batch.rows) == 1 for batch in batches)
    assert plan(list(reversed(rows)), budget) == batches
    widths = [len(batch.rows[0].tokens) for batch in batches]
    assert widths == sorted(widths, reverse=True)  # what needs most memory comes first


def test_padding_is_on_the_right() -> None:
    (batch,) = plan([TokenRow(0, None, (7, 8), (1,)), TokenRow(1, None, (5, 6, 7), (1,))], 1000)
    assert batch.levels(torch.device("cpu"))[0].ids.tolist() == [[5, 6, 7], [7, 8, 0]]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=9), st.integers(30, 3000))
def test_no_other_cuts_cost_less(lengths: list[int], budget: int) -> None:
    """All ways to cut the sequences, longest first, into batches within the budget."""
    ordered = sorted(lengths, reverse=True)

    def cost(sizes: list[tuple[int, int]]) -> float:
        """Of batches of (sequences, longest)."""
        return sum(count * longest for count, longest in sizes) + LAUNCH * budget * len(sizes)

    least = float("inf")
    for cuts in product([False, True], repeat=len(ordered) - 1):
        ends = [n for n, cut in enumerate(cuts, 1) if cut] + [len(ordered)]
        sizes = [(end - begin, ordered[begin]) for begin, end in pairwise([0, *ends])]
        if all(count * longest <= budget or count == 1 for count, longest in sizes):
            least = min(least, cost(sizes))
    batches = plan([TokenRow(i, None, tuple(range(n)), (1, 2)) for i, n in enumerate(lengths)], budget)
    assert cost([(len(b.rows), len(b.rows[0].tokens)) for b in batches]) == approx(least)


def test_nothing_gives_nothing() -> None:
    assert plan([], 10) == ()


def _seen(batch: Batch) -> list[list[list[int]]]:
    """Of every token of the last level, the tokens that it sees, in the order of their positions, itself last."""
    *leads, level = batch.levels(torch.device("cpu"))
    before = [int(t) for lead in leads for t in lead.ids[0]]
    found = []
    for number, ids in enumerate(level.ids.tolist()):
        width = len(ids)
        tree = level.tree
        sees = torch.ones(width, width).tril().bool() if tree is None else tree.sees[number]
        positions = torch.arange(width) + len(before) if tree is None else tree.positions[number]
        row = []
        for place in range(width):
            others = sorted((int(positions[other]), ids[other]) for other in range(width) if sees[place, other])
            consecutive = [position for position, _ in others] == list(range(len(before), len(before) + len(others)))
            row.append([*before, *(token for _, token in others)] if consecutive else [])
        found.append(row)
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
            rows.append(TokenRow(q, o, context + targets[:-1], targets))
    batches = plan(rows, budget, share="branches")
    assert sorted((r.question, r.option) for b in batches for r in b.rows) == [(r.question, r.option) for r in rows]
    assert plan(list(reversed(rows)), budget, share="branches") == batches
    for batch in batches:
        assert batch.padded_tokens == sum(level.ids.numel() for level in batch.levels(torch.device("cpu")))
        assert batch.padded_tokens <= budget or len({row.question for row in batch.rows}) == 1
        for part in (batch, *(half for half in batch.halves() if half.rows)):
            seen = _seen(part)
            for row, (sequence, path) in zip(part.rows, part.places, strict=True):
                assert len(path) == len(row.tokens) - part.lead
                assert len(path) >= len(row.targets)
                for place, end in zip(path, range(part.lead + 1, len(row.tokens) + 1), strict=True):
                    assert tuple(seen[sequence][place]) == row.tokens[:end]
        own = {
            (row.question, row.tokens[:end]) for row in batch.rows for end in range(batch.lead + 1, len(row.tokens) + 1)
        }
        assert sum(map(len, batch.sequences)) == len(own)


def test_every_token_of_a_question_is_run_once() -> None:
    """Of four continuations, one begins another, two are single tokens, and all share the prompt."""
    prompt = (1, 2, 3)
    continuations = [(4,), (5,), (4, 6), (7, 8, 9)]
    rows = [TokenRow(0, o, prompt + c[:-1], c) for o, c in enumerate(continuations)]
    (batch,) = plan(rows, 100, "branches")
    (sequence,) = batch.sequences
    assert batch.lead == 2
    assert sorted(sequence.tokens) == [3, 4, 7, 8]
    assert sequence.parts


def test_letters_are_one_row_in_every_family() -> None:
    """Continuations of one token after the same prompt: the same tokens are run."""
    rows = [TokenRow(q, o, (1, 2, 3 + q), (9 + o,)) for q in range(2) for o in range(4)]
    for share in ("nothing", "lead", "branches"):
        (batch,) = plan(rows, 100, share)  # type: ignore[arg-type]
        assert len(batch.sequences) == 2
        assert batch.levels(torch.device("cpu"))[-1].tree is None
