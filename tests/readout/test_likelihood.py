"""Log-likelihoods against the network's own softmax, one paragraph at a time."""

import families
import numpy as np
import pytest
import torch

from layercliff.errors import TaskError
from layercliff.models.model import Model
from layercliff.models.surgery import cut
from layercliff.readout import likelihood
from layercliff.readout.encode import TokenRow

TEXT = ("one two three blue red", "yellow", "", "which of these is a metal? iron, paper or wood in France")


@torch.inference_mode()
def slow(network: object, row: TokenRow) -> float:
    logits = network(input_ids=torch.tensor([row.tokens])).logits[0]  # type: ignore[operator]
    scores = logits.double().log_softmax(1)[-len(row.targets) :]
    return float(scores.gather(1, torch.tensor(row.targets)[:, None]).sum())


@pytest.mark.parametrize(
    "kept", [(0, 1, 3), *(pytest.param(kept, marks=pytest.mark.slow) for kept in ((1, 2), (0, 1, 2, 3, 4)))]
)
def test_against_the_networks_own_softmax(family: str, kept: tuple[int, ...]) -> None:
    model = Model.of(families.network(family), families.tokenizer())
    rows = likelihood.rows(TEXT, model.tokenizer, 9, 6)
    small = families.network(family)
    cut(small, kept)
    wanted = [[slow(network, row) for row in rows] for network in (model.network, small)]
    np.testing.assert_allclose(likelihood.log_likelihoods(model, kept, rows), wanted, rtol=2e-4, atol=1e-4)


def test_rows() -> None:
    tokenizer = families.tokenizer(begin=True)
    text = "one two three blue red green yellow iron"
    ids = tokenizer(text).input_ids
    (row,) = likelihood.rows([text], tokenizer, 6, 3)
    assert row.tokens == tuple(ids[:5])
    assert row.targets == tuple(ids[3:6])
    (row,) = likelihood.rows([text], tokenizer, 6, 99, max_positions=4)
    assert row.tokens == tuple(ids[:3])
    assert row.targets == tuple(ids[1:4])
    assert [row.question for row in likelihood.rows(["", text, "a", text], tokenizer, 6, 3)] == [0, 1, 2]


@pytest.mark.parametrize("text", [(), ("",), ("", "")])
def test_no_text(text: tuple[str, ...]) -> None:
    with pytest.raises(TaskError, match="no paragraph of two tokens"):
        likelihood.rows(text, families.tokenizer(), 9, 6)
