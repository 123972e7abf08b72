"""Unembedding against the slow and obvious way."""

import families
import pytest
import torch
from torch import nn

from layercliff.models import unembedding
from layercliff.models.anatomy import dissect
from layercliff.models.unembedding import Unembedding


@pytest.fixture
def biased() -> Unembedding:
    torch.manual_seed(0)
    return Unembedding.of(nn.LayerNorm(16), nn.Linear(16, 50), logit_scale=0.5, softcap=4.0)


def everything(unembedding: Unembedding, normed: torch.Tensor) -> torch.Tensor:
    raw = normed @ unembedding.head.weight.T + unembedding.head.bias
    return unembedding.logit_scale * unembedding.softcap * torch.tanh(raw / unembedding.softcap)


def test_token_rows_equal_the_whole_product(biased: Unembedding) -> None:
    normed = biased.normed(torch.randn(6, 16))
    different = torch.randint(0, 50, (6, 3))
    same = torch.tensor([[3, 7, 49]]).expand(6, -1)
    for tokens in (different, same):
        torch.testing.assert_close(biased.tokens(normed, tokens), everything(biased, normed).gather(1, tokens))


def test_many_depths_at_once(biased: Unembedding) -> None:
    states, tokens = torch.randn(4, 6, 16), torch.randint(0, 50, (6, 3))
    together = biased.tokens(states, tokens)
    for depth in range(4):
        torch.testing.assert_close(together[depth], biased.tokens(states[depth], tokens))


def test_normaliser_in_chunks(biased: Unembedding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unembedding, "VOCABULARY_CHUNK", 7)
    normed = biased.normed(torch.randn(6, 16))
    torch.testing.assert_close(biased.log_normaliser(normed), everything(biased, normed).logsumexp(1))


def test_probabilities_and_divergences_in_chunks(biased: Unembedding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unembedding, "VOCABULARY_CHUNK", 7)
    own, others = biased.normed(torch.randn(6, 16)), torch.stack([biased.normed(torch.randn(6, 16)) for _ in range(3)])
    known = everything(biased, own).log_softmax(-1)
    torch.testing.assert_close(biased.mean_probabilities(own), known.exp().mean(0))
    expected = (known.exp() * (known - everything(biased, others).log_softmax(-1))).sum(-1)
    torch.testing.assert_close(biased.divergences(own, others), expected)
    torch.testing.assert_close(biased.divergences(own, own[None]), torch.zeros(1, 6))


class PackedHead(nn.Module):
    """A head whose weight is packed: only the module can multiply it."""

    def __init__(self, dense: nn.Linear) -> None:
        super().__init__()
        self.dense = [dense]
        self.weight = nn.Parameter(torch.zeros(4, dtype=torch.int8), requires_grad=False)
        self.out_features = dense.out_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense[0](x)


def test_packed_head_is_multiplied_by_its_own_module(biased: Unembedding) -> None:
    packed = Unembedding(biased.final_norm, PackedHead(biased.head), biased.logit_scale, biased.softcap)
    normed, tokens = biased.normed(torch.randn(6, 16)), torch.randint(0, 50, (6, 3))
    torch.testing.assert_close(packed.tokens(normed, tokens), biased.tokens(normed, tokens))
    torch.testing.assert_close(packed.log_normaliser(normed), biased.log_normaliser(normed))


def test_only_the_options_rows_are_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading tokens never touches the head's other rows: they may be nan."""
    unembedding_ = dissect(families.network("llama")).unembedding
    with torch.no_grad():
        unembedding_.head.weight[10:] = torch.nan
    tokens = torch.tensor([[1, 2, 3], [4, 5, 6]])
    assert unembedding_.tokens(torch.randn(2, 32), tokens).isfinite().all()
