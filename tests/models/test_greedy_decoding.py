"""Greedy text in pieces is greedy text: that of the network's own generate, in every family, pruned or not."""

import families
import pytest
import torch

from layercliff.models import timing
from layercliff.models.greedy_decoding import GreedyDecoder
from layercliff.models.model import Model
from layercliff.models.surgery import cut, pruned

PROMPT = (5, 77, 130, 9, 240, 31)
KEPT = (0, 2, 4)


def generated(network: object, count: int) -> list[int]:
    ids = torch.tensor([PROMPT])
    options = {"max_new_tokens": count, "min_new_tokens": count, "do_sample": False, "eos_token_id": None}
    out = network.generate(ids, **options)  # type: ignore[attr-defined]
    return list(out[0, len(PROMPT) :].tolist())


def test_pieces_are_the_whole(family: str) -> None:
    network = families.network(family)
    wanted = generated(network, 7)
    cut_network = families.network(family)
    cut(cut_network, KEPT)
    dense, small = GreedyDecoder(network, PROMPT), GreedyDecoder(network, PROMPT)
    for count in (3, 1, 3):
        dense.advance(count)
        with pruned(network, KEPT):
            small.advance(count)
    assert dense.tokens == wanted
    assert small.tokens == generated(cut_network, 7)


def test_without_a_cache_the_whole_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    network = families.network("llama")
    wanted = generated(network, 5)
    monkeypatch.setattr("layercliff.models.greedy_decoding.CACHES", ())
    found = GreedyDecoder(network, PROMPT)
    found.advance(5)
    assert found.tokens == wanted


def test_paces(tiny: Model) -> None:
    found = timing.prompt(tiny, KEPT, torch.arange(3, 20), 5)
    assert found.tokens == 17
    assert len(found.dense) == len(found.pruned) == 5
    assert min(found.dense + found.pruned) > 0
    found, texts = timing.generation(tiny, KEPT, [PROMPT, PROMPT[:2]], 3)
    assert len(found.dense) == len(found.pruned) == 6
    assert [len(text) for pair in texts for text in pair] == [4 * timing.TURN] * 4
    assert list(texts[0][0]) == generated(tiny.network, 16)
    with pruned(tiny.network, KEPT):
        assert list(texts[0][1]) == generated(tiny.network, 16)
