"""The sweep gives what removing each block and running the model gives, at the price it states."""

import families
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from layercliff.models.anatomy import dissect
from layercliff.models.blockwise_pass import PrefixCache, Segment
from layercliff.pruning.sweep import Sweep

IDS = torch.tensor([[5, 77, 130, 9, 240, 31, 18, 200], [9, 8, 7, 66, 55, 44, 33, 22]])
L = families.N_LAYERS


def removed(passage: object, kept: tuple[int, ...]) -> torch.Tensor:
    *_, (_, last) = passage.depths(kept)  # type: ignore[attr-defined]
    return last


@torch.inference_mode()
def test_candidates_equal_running_the_model_without_them(family: str) -> None:
    passage = dissect(families.network(family)).enter(IDS)
    found = Sweep(passage, range(L)).candidates()
    assert set(found) == set(range(L))
    for block, state in found.items():
        torch.testing.assert_close(
            state, removed(passage, tuple(b for b in range(L) if b != block)), rtol=1e-4, atol=1e-5
        )


@torch.inference_mode()
def test_candidates_of_rows_that_share_their_beginning(family: str) -> None:
    """Three levels give what the whole rows give; what the first one came to may be remembered or not."""
    anatomy = dissect(families.network(family))
    levels = (
        Segment(IDS[:1, :2]),
        Segment(IDS[:, 2:5], torch.tensor([0, 0])),
        Segment(torch.stack([IDS[1, 5:], IDS[0, 5:], IDS[0, :3]]), torch.tensor([1, 0, 0])),
    )
    front = IDS[:1, :2]
    whole = torch.stack(
        [torch.cat([front[0], IDS[p, 2:5], own]) for p, own in ((1, IDS[1, 5:]), (0, IDS[0, 5:]), (0, IDS[0, :3]))]
    )
    expected = Sweep(anatomy.enter(whole), range(L)).candidates()
    for leads in (None, PrefixCache(10**9), PrefixCache(2000)):
        for _ in range(2):
            found = Sweep(anatomy.enter(levels, leads), range(L)).candidates()
            for block, state in found.items():
                torch.testing.assert_close(state, expected[block][:, 5:], rtol=1e-4, atol=1e-5)
        if leads is not None:
            assert 0 < leads.held <= leads.budget


@torch.inference_mode()
def test_batches_that_begin_otherwise_are_told_apart(family: str) -> None:
    """By the tokens of what their rows have in common, whether as long as another's or not."""
    anatomy, leads = dissect(families.network(family)), PrefixCache(10**9)
    for row, end in ((0, 2), (1, 2), (0, 3), (0, 2)):
        levels = (Segment(IDS[row : row + 1, :end]), Segment(IDS[row : row + 1, end:], torch.tensor([0])))
        found = Sweep(anatomy.enter(levels, leads), range(L)).candidates()
        for block, state in Sweep(anatomy.enter(IDS[row : row + 1]), range(L)).candidates().items():
            torch.testing.assert_close(found[block], state[:, end:], rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_passes_are_those_stated() -> None:
    sweep = Sweep(dissect(families.network("llama")).enter(IDS), range(L))
    sweep.candidates()
    assert sweep.passes == L * (L - 1) // 2 + L - 1


PASSAGE = dissect(families.network("gemma3")).enter(IDS)
STATE = PASSAGE.embedded.size


@settings(max_examples=40)
@given(st.permutations(range(L)), st.integers(0, 20))
@torch.inference_mode()
def test_reuse_changes_no_bit_and_stays_within_its_budget(order: list[int], states: int) -> None:
    """Along any path and under any budget: the same bits as from scratch."""
    sweep = Sweep(PASSAGE, range(L), budget=states * STATE)
    for block in order[:-1]:
        found = sweep.candidates()
        fresh = Sweep(PASSAGE, sweep.kept).candidates()
        assert set(found) == set(fresh) == set(sweep.kept)
        for candidate in found:
            assert torch.equal(found[candidate], fresh[candidate])
        held = sum(len(streams) for streams in sweep._known.values())
        assert held <= max(1, states)
        sweep.remove(block)


@torch.inference_mode()
def test_reuse_saves_passes() -> None:
    passes = []
    for budget in (0, 10**9):
        sweep = Sweep(PASSAGE, range(L), budget)
        for block in (3, 4, 2):
            sweep.candidates()
            sweep.remove(block)
        passes.append(sweep.passes)
    assert passes[1] < 0.75 * passes[0]


@torch.inference_mode()
def test_only_wanted_blocks_are_candidates() -> None:
    sweep = Sweep(PASSAGE, range(L))
    assert set(sweep.candidates((1, 2, 4))) == {1, 2, 4}
    assert sweep.passes == 4 + (L - 2) + (L - 3)  # whole up to block 4, and each stream past what follows its block


@settings(max_examples=40)
@given(st.permutations(range(L)), st.lists(st.sets(st.integers(0, L - 1), min_size=1), min_size=L), st.integers(0, 20))
@torch.inference_mode()
def test_some_wanted_now_and_others_later(order: list[int], wanted: list[set[int]], states: int) -> None:
    """Streams left out of one step are taken up in the next, with the same bits."""
    sweep = Sweep(PASSAGE, range(L), budget=states * STATE)
    for block, some in zip(order[:-1], wanted, strict=False):
        few = some & set(sweep.kept) or {block}
        found = sweep.candidates(few)
        fresh = Sweep(PASSAGE, sweep.kept).candidates()
        assert set(found) == few
        assert all(torch.equal(found[candidate], fresh[candidate]) for candidate in few)
        sweep.remove(block)


def test_unknown_block_cannot_be_removed() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        Sweep(PASSAGE, range(3)).remove(4)


@given(st.integers(0, 12), st.lists(st.sampled_from(range(L)), max_size=3, unique=True))
def test_counting_counts_what_is_run(states: int, gone: list[int]) -> None:
    run, counted = Sweep(PASSAGE, range(L), budget=PASSAGE.size + states * STATE), Sweep.counting(range(L), states)
    for block in (None, *gone):
        for sweep in (run, counted):
            if block is not None:
                sweep.remove(block)
            sweep.candidates()
        assert counted.passes == run.passes
