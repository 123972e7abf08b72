"""Removals: skipping is what the sweep of a pruning step does; means are those of the tokens, and stand in for the
block."""

from itertools import pairwise

import families
import pytest
import torch

from layercliff.interventions import ablation, forks
from layercliff.interventions.ablated_blocks import ablated_blocks
from layercliff.interventions.forks import unchanged
from layercliff.models.anatomy import dissect
from layercliff.models.blockwise_pass import ResidualStream, Segment
from layercliff.models.model import Model
from layercliff.pruning.sweep import Sweep
from layercliff.readout.batches import Batch
from layercliff.readout.encode import TokenRow
from layercliff.readout.encoded_task import ask
from layercliff.tasks.question import Task

L = families.N_LAYERS
ROWS = (TokenRow(0, None, (5, 77, 130, 9, 240), (1,)), TokenRow(1, None, (5, 77, 7), (1,)))
OPTIONS = tuple(TokenRow(0, o, (5, 77, 7, *end), (1,) * 3) for o, end in enumerate(((8, 9), (8, 4, 3), (30, 9))))


def test_every_block_and_every_adjacent_pair_in_both_manners() -> None:
    found = ablated_blocks(4)
    assert [r.blocks for r in found] == [(0,), (1,), (2,), (3,), (0, 1), (1, 2), (2, 3)] * 2
    assert [r.how for r in found] == ["skip"] * 7 + ["mean"] * 7


@pytest.mark.parametrize("batch", [Batch(ROWS), Batch(ROWS, lead=2), Batch(OPTIONS, 2, True)])
@torch.inference_mode()
def test_skipping_gives_the_sweeps_bits(batch: Batch) -> None:
    passage = dissect(families.network("gemma3")).enter(batch.levels(torch.device("cpu")))
    some = ablation.forks(L, ablated_blocks(L), torch.zeros(L, 2, 32))
    states = [state for _, state in forks.states(passage, batch, L, some)]
    _, places = forks.order(L, some)
    expected = Sweep(passage, range(L)).candidates()
    for removal, place in zip(ablated_blocks(L), places, strict=True):
        *_, (_, whole) = passage.depths([b for b in range(L) if b not in removal.blocks])
        assert torch.equal(states[place], whole)  # a mean of zero skips as well
        if removal.size == 1:
            assert torch.equal(states[place], expected[removal.first])


def test_the_first_token_of_each_row_gets_the_first_mean() -> None:
    """Shared or not; also where options part at the first token."""
    three = tuple(TokenRow(0, o, tokens, (1,)) for o, tokens in enumerate(((5, 77, 9), (6, 77), (5, 8))))
    rows = (*three, TokenRow(1, 0, (5, 3), (1,)))
    some = ablation.forks(1, ablated_blocks(1), torch.tensor([[[10.0], [1.0]]]))
    change = next(fork.change for fork in some if fork.change is not unchanged)
    for batch in (Batch(rows), Batch(rows, branching=True)):
        (level,) = batch.levels(torch.device("cpu"))
        (found,) = change(ResidualStream((), (torch.zeros(*level.ids.shape, 1),)), batch).levels
        for row, (sequence, path) in zip(rows, batch.places, strict=True):
            assert found[sequence, list(path), 0].tolist() == [10.0] + [1.0] * (len(row.tokens) - 1)
    batch = Batch((rows[0], rows[2]), lead=1)
    lead, rest = change(ResidualStream((), (torch.zeros(1, 1, 1), torch.zeros(2, 2, 1))), batch).levels
    assert lead.item() == 10
    assert (rest == 1).all()


@torch.inference_mode()
def test_means_are_those_of_all_tokens_one_by_one(tiny: Model, colours: Task) -> None:
    for form in ("first_token", "cloze"):
        asked = ask(tiny, colours, form, colours.questions)  # type: ignore[arg-type]
        found = ablation.mean_updates(tiny, [asked], 40)
        first, others = [], []
        for row in asked.rows:
            if row.option not in (None, asked.questions[row.question].gold):
                continue
            states = torch.stack([h[0] for _, h in tiny.anatomy.enter(torch.tensor([row.tokens])).depths()])
            first.append(states.diff(dim=0)[:, 0])
            others.append(states.diff(dim=0)[:, 1:])
        torch.testing.assert_close(found[:, 0], torch.stack(first, 1).mean(1), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found[:, 1], torch.cat(others, 1).mean(1), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_a_mean_stands_in_for_the_block() -> None:
    """Of a batch whose rows are all the same, the first position's mean is the block's own update; the others get
    theirs."""
    passage = dissect(families.network("llama")).enter((Segment(torch.tensor([[5, 77], [5, 77]])),))
    depths = [state for _, state in passage.depths()]
    means = torch.stack([(after - before)[0] for before, after in pairwise(depths)])
    some = ablation.forks(L, ablated_blocks(L), means)
    states = [state for _, state in forks.states(passage, Batch(ROWS), L, some)]
    _, places = forks.order(L, some)
    for removal, place in zip(ablated_blocks(L), places, strict=True):
        if removal.how == "mean":
            torch.testing.assert_close(states[place], depths[-1], rtol=1e-3, atol=1e-4)
        else:
            assert not torch.allclose(states[place], depths[-1], atol=1e-2)
