"""Forks share what lies before them, at the price they state, and come where `order` says."""

import families
import numpy as np
import pytest
import torch

from layercliff.interventions import forks
from layercliff.interventions.forks import Fork, unchanged
from layercliff.models.anatomy import dissect
from layercliff.models.blockwise_pass import BlockwisePass, ResidualStream
from layercliff.readout.batches import Batch
from layercliff.readout.encode import TokenRow

ROWS = (TokenRow(0, None, (5, 77, 130, 9, 240), (1,)), TokenRow(1, None, (9, 8, 7), (1,)))
BATCH = Batch(ROWS)
L = families.N_LAYERS


@pytest.mark.parametrize("family", ["llama", "gemma3", "bloom"])
@torch.inference_mode()
def test_states_are_those_of_running_each_by_itself(family: str) -> None:
    passage = dissect(families.network(family)).enter(BATCH.levels(torch.device("cpu")))

    def doubled(stream: ResidualStream, _: Batch) -> ResidualStream:
        return ResidualStream(stream.passed, tuple(2 * level for level in stream.levels))

    some = [
        Fork(3, (4,), doubled),
        Fork(0, (2, 4), unchanged),
        Fork(5, (), doubled),
        Fork(3, (3, 4), unchanged),
        Fork(0, (0, 1, 2, 3, 4), unchanged),
    ]
    found = [state for _, state in forks.states(passage, BATCH, L, some)]
    dense, runs = forks.order(L, some)
    assert sorted([*dense, *runs]) == list(range(len(found)))
    depths = [state for _, state in passage.depths()]
    assert all(torch.equal(found[row], state) for row, state in zip(dense, depths, strict=True))
    expected = [
        passage.past((4,), ResidualStream((), (2 * depths[3],))).levels[-1],
        passage.past((2, 4), passage.embedded).levels[-1],
        2 * depths[5],
        depths[5],
        depths[5],
    ]
    assert all(torch.equal(found[row], state) for row, state in zip(runs, expected, strict=True))


@torch.inference_mode()
def test_passes_are_those_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    passage = dissect(families.network("llama")).enter(BATCH.levels(torch.device("cpu")))
    some = [Fork(depth, tuple(range(depth, L)), unchanged) for depth in range(L + 1) for _ in range(3)]
    block, counted = BlockwisePass.block, []

    def counting(self: BlockwisePass, index: int, stream: ResidualStream) -> ResidualStream:
        counted.append(index)
        return block(self, index, stream)

    monkeypatch.setattr(BlockwisePass, "block", counting)
    for _ in forks.states(passage, BATCH, L, some):
        pass
    assert len(counted) == forks.passes(L, some) == L + 3 * L * (L + 1) // 2


def test_order_of_none() -> None:
    dense, runs = forks.order(L, [])
    np.testing.assert_array_equal(dense, np.arange(L + 1))
    assert not len(runs)
