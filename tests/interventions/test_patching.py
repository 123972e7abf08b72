"""Exchanged states: against building each run by itself, and a model patched into itself."""

import families
import pytest
import torch

from layercliff.interventions import patching
from layercliff.models.anatomy import dissect
from layercliff.models.blockwise_pass import BlockwisePass, ResidualStream
from layercliff.readout.batches import Batch
from layercliff.readout.encode import TokenRow

ROWS = (TokenRow(0, None, (5, 77, 130, 9, 240), (1,)), TokenRow(1, None, (5, 77, 7), (1,)))
OPTIONS = tuple(TokenRow(0, o, (5, 77, 7, *end), (1,) * 3) for o, end in enumerate(((8, 9), (8, 4, 3), (30, 9))))
WHOLE, SHARED, TREE = Batch(ROWS), Batch(ROWS, lead=2), Batch(OPTIONS, 2, True)
L = families.N_LAYERS


def entered(batch: Batch, family: str = "gemma3") -> BlockwisePass:
    return dissect(families.network(family)).enter(batch.levels(torch.device("cpu")))


@pytest.mark.parametrize(("batch", "positions"), [(WHOLE, "all"), (SHARED, "all"), (TREE, "all"), (WHOLE, "decision")])
@pytest.mark.parametrize("family", ["gemma3", "qwen3"])
@torch.inference_mode()
def test_a_model_patched_into_itself_changes_no_bit(batch: Batch, positions: str, family: str) -> None:
    passage = entered(batch, family)
    found = [state for _, state in patching.states(passage, batch, L, range(L), positions)]  # type: ignore[arg-type]
    dense, matches = patching.order(L, range(L))
    depths = [state for _, state in passage.depths()]
    for depth in range(L + 1):
        assert torch.equal(found[dense[depth]], depths[depth])
        own, into_pruned, into_dense = (found[place] for place in matches[:, depth])
        assert torch.equal(own, depths[depth])
        assert torch.equal(into_pruned, depths[-1])
        assert torch.equal(into_dense, depths[-1])


@pytest.mark.parametrize("kept", [(0, 2, 3), (1, 4), (3,)])
@pytest.mark.parametrize("batch", [SHARED, TREE])
@torch.inference_mode()
def test_all_positions_against_models_of_those_blocks(batch: Batch, kept: tuple[int, ...]) -> None:
    """The pruned model with the dense state is the one with all blocks up to there; the dense one with the pruned state
    lacks only those before."""
    passage = entered(batch)
    found = [state for _, state in patching.states(passage, batch, L, kept, "all")]
    dense, matches = patching.order(L, kept)
    assert sorted([*dense, *matches.ravel()]) == list(range(len(found)))
    for depth, block in enumerate((-1, *kept)):
        blocks = (kept[:depth], (*range(block + 1), *kept[depth:]), (*kept[:depth], *range(block + 1, L)))
        for place, some in zip(matches[:, depth], blocks, strict=True):
            *_, (_, expected) = passage.depths(some)
            assert torch.equal(found[place], expected)
    for depth, (_, state) in enumerate(passage.depths()):
        assert torch.equal(found[dense[depth]], state)


@torch.inference_mode()
def test_only_the_positions_that_are_read() -> None:
    kept, passage = (0, 2, 3), entered(WHOLE)
    found = [state for _, state in patching.states(passage, WHOLE, L, kept, "decision")]
    _, matches = patching.order(L, kept)
    dense = [state for _, state in passage.depths()]
    pruned = [state for _, state in passage.depths(kept)]
    state = pruned[2].clone()
    for row, place in ((0, 4), (1, 2)):
        state[row, place] = dense[3][row, place]
    assert not torch.equal(state, pruned[2])
    assert torch.equal(found[matches[1, 2]], passage.past((3,), ResidualStream((), (state,))).levels[-1])


@pytest.mark.parametrize("kept", [range(L), (0, 2, 3), (1, 4)])
@torch.inference_mode()
def test_passes_are_those_stated(kept: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    passage, block, counted = entered(WHOLE), BlockwisePass.block, []

    def counting(self: BlockwisePass, index: int, stream: ResidualStream) -> ResidualStream:
        counted.append(index)
        return block(self, index, stream)

    monkeypatch.setattr(BlockwisePass, "block", counting)
    for _ in patching.states(passage, WHOLE, L, kept, "all"):
        pass
    assert len(counted) == patching.passes(L, kept)
