"""Assessments of tiny models: what is counted is right, what is stored comes back."""

import json
import math
from dataclasses import replace

import families
import pytest
import torch

from layercliff.errors import ModelError, RunError, TaskError
from layercliff.metrics.perplexity import Estimate
from layercliff.models.model import Model
from layercliff.models.surgery import cut
from layercliff.pruning.assess import READ_BYTES, assess
from layercliff.pruning.assessment import Assessment
from layercliff.tasks import prose

KEPT = (0, 2, 4)


@pytest.mark.parametrize("family", ["llama_tied", "gemma3", "bloom", "qwen3_moe"])
def test_an_assessment(family: str) -> None:
    model = Model.of(families.network(family), families.tokenizer())
    small = families.network(family)
    cut(small, KEPT)
    before = model.network(input_ids=torch.tensor([[5, 6, 7]])).logits
    found = assess(model, KEPT, seed=2)
    assert (found.kept, found.n_layers, found.device, found.weights_dtype) == (KEPT, 5, "cpu", "float32")
    for network, parameters, size in (
        (model.network, found.parameters_dense, found.weight_bytes_dense),
        (small, found.parameters_pruned, found.weight_bytes_pruned),
    ):
        each = {id(p): p.numel() for p in network.parameters()}
        assert parameters == sum(each.values())
        assert size == 4 * parameters
    assert found.perplexity.paragraphs == 12
    assert found.perplexity.tokens == 12 * 20
    assert found.perplexity.ratio.point == pytest.approx(found.perplexity.pruned.point / found.perplexity.dense.point)
    for speed in (found.prompt, found.generation):
        assert speed.repeats >= 5
        assert 0 < speed.low <= speed.ratio <= speed.high
    assert [c.opening for c in found.completions] == list(prose.OPENINGS)
    ids = model.tokenizer(prose.OPENINGS[1], return_tensors="pt").input_ids
    for network, text in ((model.network, found.completions[1].dense), (small, found.completions[1].pruned)):
        out = network.generate(ids, max_new_tokens=24, do_sample=False, use_cache=False)[0, ids.shape[1] :]
        assert text == model.tokenizer.decode(out, skip_special_tokens=True)
    assert torch.equal(model.network(input_ids=torch.tensor([[5, 6, 7]])).logits, before)


def test_the_same_seed_gives_the_same_but_for_the_clock(tiny: Model) -> None:
    first, second = (assess(tiny, KEPT, seed=1) for _ in range(2))
    assert first.perplexity == second.perplexity
    assert first.completions == second.completions


def test_what_is_stored_comes_back(tiny: Model) -> None:
    found = assess(tiny, KEPT, ["one two three blue red green", "yellow iron one two three"])
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert Assessment.from_dict(json.loads(text)) == found
    beyond = replace(found, perplexity=replace(found.perplexity, pruned=Estimate(math.inf, 1.0, math.inf)))
    assert Assessment.from_dict(json.loads(json.dumps(beyond.to_dict(), allow_nan=False))) == beyond


def test_a_large_model_continues_fewer_openings(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(READ_BYTES, "cpu", 2.9 * 2 * 24 * sum(4 * p.numel() for p in tiny.network.parameters()))
    assert len(assess(tiny, KEPT).completions) == 2
    monkeypatch.setitem(READ_BYTES, "cpu", 1.0)
    assert len(assess(tiny, KEPT).completions) == 1


@pytest.mark.parametrize("kept", [(), (2, 1), (0, 0), (0, 5), (-1, 0)])
def test_blocks_that_cannot_be_kept(tiny: Model, kept: tuple[int, ...]) -> None:
    with pytest.raises(RunError, match="cannot be kept: name some of 0-4"):
        assess(tiny, kept)


def test_other_refusals(tiny: Model) -> None:
    with pytest.raises(TaskError, match="no paragraph of two tokens"):
        assess(tiny, KEPT, [])
    model = Model.of(families.network("llama"), families.tokenizer())
    model.network.config.num_kv_shared_layers = 2
    with pytest.raises(ModelError, match="num_kv_shared_layers"):
        assess(model, KEPT)


@pytest.mark.slow
@pytest.mark.packaged
def test_a_real_model_loses_what_is_taken() -> None:
    """Half of the blocks gone, SmolLM2 finds ordinary prose less likely."""
    from layercliff.models import loading

    found = assess(loading.load("smollm2-135m", device="cpu"), range(15))
    assert found.perplexity.ratio.low > 1
    assert found.perplexity.dense.point < 100
    assert found.parameters_pruned < found.parameters_dense
