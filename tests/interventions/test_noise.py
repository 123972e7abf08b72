"""Noise: its size, where it goes, and that it belongs to a question and not to a batch."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from layercliff.interventions.noise import Noise
from layercliff.models.blockwise_pass import ResidualStream
from layercliff.readout.batches import Batch
from layercliff.readout.encode import TokenRow

D = 64
ROWS = tuple(TokenRow(q, None, tuple(range(1, n)), (1, 2)) for q, n in enumerate((6, 4, 9)))
OPTIONS = tuple(TokenRow(0, o, (1, 2, 3, *end[:-1]), end) for o, end in enumerate(((7,), (8, 9, 10))))


def made(positions: str = "all", eps: Sequence[float] = (0.5,), seed: int = 0) -> Noise:
    return Noise(("a", "b", "c"), tuple(eps), 2, positions, seed)  # type: ignore[arg-type]


def stream(batch: Batch, scale: float = 1.0) -> ResidualStream:
    torch.manual_seed(3)
    longest = max(len(row.tokens) for row in batch.rows)
    return ResidualStream((), (scale * torch.randn(len(batch.sequences), longest, D) + 5,))


def test_a_questions_noise_does_not_depend_on_its_batch() -> None:
    together = made().normal(Batch(ROWS), 2, 1, (8, D))
    for number, row in enumerate(ROWS):
        alone = made().normal(Batch((row,)), 2, 1, (len(row.tokens), D))[0]
        assert torch.equal(together[number, : len(row.tokens)], alone)
        assert not together[number, len(row.tokens) :].any()


def test_depths_draws_questions_and_seeds_differ() -> None:
    drawn = [
        made(seed=seed).normal(Batch((ROWS[question],)), depth, draw, (8, D))[0, :3]
        for seed, question, depth, draw in ((0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))
    ]
    assert all(not torch.equal(a, b) for i, a in enumerate(drawn) for b in drawn[:i])


def test_options_of_the_same_prompt_have_the_same_noise() -> None:
    for positions, begin in (("all", 0), ("decision", 2)):
        found = made(positions).normal(Batch(OPTIONS), 0, 0, (6, D))
        assert torch.equal(found[0, :3], found[1, :3])
        assert not found[0, 3:].any()
        assert not found[:, :begin].any()
        assert found[:, begin].any()


def test_rows_of_the_same_tokens_are_one_sequence() -> None:
    """Options of one token have all of their prompt, and so their run, in common."""
    rows = tuple(TokenRow(0, o, (1, 2, 3), (end,)) for o, end in enumerate((7, 8))) + ROWS[1:]
    batch = Batch(rows)
    assert stream(batch).levels[0].shape[0] == len(batch.sequences) == 3
    found = made().normal(batch, 0, 0, (8, D))
    for sequence, row in enumerate(rows[1:]):
        alone = made().normal(Batch((row,)), 0, 0, (len(row.tokens), D))[0]
        assert torch.equal(found[sequence, : len(row.tokens)], alone)


def test_only_the_positions_that_are_read() -> None:
    found = made("decision").normal(Batch(ROWS), 0, 0, (8, D)).abs().sum(-1) > 0
    assert found.sum(1).tolist() == [1, 1, 1]
    assert [int(row.nonzero()[0]) for row in found] == [4, 2, 7]


@pytest.mark.parametrize("eps", [0.02, 0.5])
def test_size_is_eps_times_the_tokens_own_deviation(eps: float) -> None:
    batch = Batch(tuple(TokenRow(q % 3, None, (1,) * 40, (1,)) for q in range(3)))
    for scale in (1.0, 30.0):
        before = stream(batch, scale)
        after = made().disturbed(before, batch, 0, 0, eps)
        ratio = (after.levels[0] - before.levels[0]) / before.levels[0].std(-1, correction=0, keepdim=True)
        assert float(ratio.std()) == pytest.approx(eps, rel=0.03)
        assert abs(float(ratio.mean())) < 0.05 * eps


def test_no_noise_changes_no_bit() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        before = ResidualStream((), (stream(Batch(ROWS)).levels[0].to(dtype),))
        after = made().disturbed(before, Batch(ROWS), 0, 0, 0.0)
        assert after.levels[0].dtype == dtype
        assert torch.equal(after.levels[0], before.levels[0])


def test_runs_are_ordered_by_size_draw_depth() -> None:
    depths = [fork.depth for fork in made(eps=(0.1, 0.2)).forks(3)]
    assert depths == [0, 1, 2, 3] * 4
    np.testing.assert_array_equal([len(b.rest) for b in made().forks(3)], [3, 2, 1, 0] * 2)


def test_branches_of_a_question_have_the_noise_of_its_rows() -> None:
    rows = (
        tuple(TokenRow(0, o, (1, 2, 3, *end[:-1]), end) for o, end in enumerate(((8, 7, 6), (8, 9, 10), (5, 4))))
        + ROWS[1:]
    )
    whole, branching = Batch(rows), Batch(rows, branching=True)
    expected = made().normal(whole, 1, 1, (8, D))
    found = made().normal(branching, 1, 1, (8, D))
    assert len(found) < len(expected)
    for (one, path), (other, place) in zip(whole.places, branching.places, strict=True):
        assert torch.equal(expected[one, list(path)], found[other, list(place)])
