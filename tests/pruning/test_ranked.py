"""Each baseline on a toy model whose right answer is known."""

from dataclasses import replace

import families
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from layercliff.errors import RunError
from layercliff.models.model import Model
from layercliff.models.surgery import cut
from layercliff.pruning.criteria.block_influence import block_influence
from layercliff.pruning.criteria.fixed_order import random_order
from layercliff.pruning.criteria.perplexity import perplexity
from layercliff.pruning.criteria.taylor import taylor
from layercliff.pruning.criterion import named
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.step import Step
from layercliff.readout import encoded_task
from layercliff.tasks.question import Task

L = 8
TEXT = (
    "The capital of France is Paris and the capital of Chile is Santiago.",
    "which of these is a metal? iron",
    "blue red green yellow one two three",
)


def network() -> torch.nn.Module:
    config = families.CONFIGS["llama"]()
    assert isinstance(config, LlamaConfig)
    config.num_hidden_layers = L
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model  # type: ignore[no-any-return]


def silenced(model: torch.nn.Module, *blocks: int) -> torch.nn.Module:
    """Blocks that write nothing into the stream."""
    with torch.no_grad():
        for block in blocks:
            model.model.layers[block].self_attn.o_proj.weight.zero_()  # type: ignore[union-attr, index]
            model.model.layers[block].mlp.down_proj.weight.zero_()  # type: ignore[union-attr, index]
    return model


def brief(model: torch.nn.Module, task: Task, form: str = "letter") -> CriterionInput:
    found = Model.of(model, families.tokenizer())  # type: ignore[arg-type]
    parts = (encoded_task.ask(found, task, form, task.questions),)  # type: ignore[arg-type]
    return CriterionInput(found, parts, (("text", encoded_task.passages(found, TEXT)),), (), L - 1, 0, 4096)


def order(criterion: str, given: CriterionInput, steps: int = L - 1) -> list[tuple[int, ...]]:
    chooser, at, found = named(criterion).make(given), Step(tuple(range(L))), []
    for _ in range(steps):
        after = chooser.choose(at)
        if after is None:
            break
        at = after
        found.append(at.removed)
    return found


@pytest.mark.parametrize("criterion", ["block_influence", "angular", "perplexity", "taylor"])
def test_what_choosing_cost_is_counted_once(colours: Task, criterion: str) -> None:
    chooser = named(criterion).make(brief(network(), colours))
    first = chooser.choose(Step(tuple(range(L))))
    assert first is not None
    cost = chooser.passes, chooser.seconds
    assert min(cost) > 0
    chooser.choose(first)
    assert (chooser.passes, chooser.seconds) == cost


def test_tail_and_head(colours: Task) -> None:
    assert order("tail", brief(network(), colours), 3) == [(7,), (6,), (5,)]
    assert order("head", brief(network(), colours), 3) == [(0,), (1,), (2,)]
    protecting = replace(brief(network(), colours), protected=(7, 0))
    assert order("tail", protecting, 2) == [(6,), (5,)]


def test_random_is_seeded_and_stays_within_a_range_first(colours: Task) -> None:
    given = brief(network(), colours)
    draws = [tuple(random_order(replace(given, draw=draw))[0].items()) for draw in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    scores, _ = random_order(replace(given, draw=3, within=(2, 3, 4)))
    assert set(sorted(scores, key=lambda b: -scores[b])[:3]) == {2, 3, 4}


@pytest.mark.parametrize("form", ["letter", "cloze"])
def test_a_block_that_writes_nothing_has_no_influence(colours: Task, form: str) -> None:
    given = brief(silenced(network(), 5, 2), colours, form)
    assert set(order("block_influence", given, 2)) == {(5,), (2,)}
    scores, passes = block_influence(given)
    assert scores[5] == pytest.approx(0, abs=1e-6)
    assert passes % L == 0


def test_block_influence_against_one_prompt_at_a_time(colours: Task) -> None:
    given = brief(network(), colours)
    scores, _ = block_influence(given)
    cosines: list[list[float]] = [[] for _ in range(L)]
    for row in given.asked[0].rows:
        with torch.inference_mode():
            states = [h[0].double() for _, h in given.model.anatomy.enter(torch.tensor([row.tokens])).depths()]
        for block in range(L):
            cosines[block] += torch.cosine_similarity(states[block], states[block + 1], dim=-1).tolist()
    np.testing.assert_allclose([scores[b] for b in range(L)], [np.mean(c) - 1 for c in cosines], rtol=1e-4, atol=1e-6)


def test_angular_takes_the_run_that_turns_nothing(colours: Task) -> None:
    given = brief(silenced(network(), 3, 4, 5), colours)
    chooser, at = named("angular").make(given), Step(tuple(range(L)))
    for _ in range(3):
        after = chooser.choose(at)
        assert after is not None
        at = after
    assert at.kept == (0, 1, 2, 6, 7)
    assert order("angular", given, 1) == [(3,)]  # of equal ones the first


def test_angular_need_not_nest_and_leaves_protected_blocks(colours: Task) -> None:
    given = replace(brief(silenced(network(), 1, 5, 6), colours), protected=(1,))
    steps = order("angular", given)
    assert steps[0] in ((5,), (6,))
    assert all(1 not in removed for removed in steps)


def test_perplexity_against_cutting_each_block_out(colours: Task) -> None:
    given = brief(network(), colours)
    scores, _ = perplexity(given)
    for block in range(L):
        less = network()
        cut(less, [b for b in range(L) if b != block])  # type: ignore[arg-type]
        losses = []
        for _, rows in given.text:
            for row in rows:
                with torch.inference_mode():
                    logits = less(input_ids=torch.tensor([row.tokens])).logits[0]
                losses.append(float(torch.nn.functional.cross_entropy(logits, torch.tensor(row.targets))))
        assert scores[block] == pytest.approx(-np.mean(losses), rel=1e-4)


def test_taylor_against_autograd_on_all_text_at_once(colours: Task) -> None:
    given = brief(network(), colours)
    scores, _ = taylor(given)
    model = network()
    rows = given.text[0][1]
    total = sum(
        torch.nn.functional.cross_entropy(
            model(input_ids=torch.tensor([row.tokens])).logits[0], torch.tensor(row.targets), reduction="sum"
        )
        for row in rows
    ) / sum(len(row.targets) for row in rows)
    total.backward()  # type: ignore[union-attr]
    for block, module in enumerate(model.model.layers):  # type: ignore[union-attr, arg-type]
        expected = sum(float((p * p.grad).detach().abs().sum()) for p in module.parameters())
        assert scores[block] == pytest.approx(-expected, rel=1e-3)
    assert all(p.grad is None for p in given.model.network.parameters())


def test_a_small_block_goes_first_by_magnitude(colours: Task) -> None:
    model = network()
    with torch.no_grad():
        for parameter in model.model.layers[4].parameters():  # type: ignore[union-attr, index]
            parameter.mul_(0.01)
    assert order("magnitude", brief(model, colours), 1) == [(4,)]
    assert order("taylor", brief(model, colours), 1) == [(4,)]


@pytest.mark.parametrize("criterion", ["magnitude+", "taylor+", "perplexity+"])
def test_protected_ends_stay(colours: Task, criterion: str) -> None:
    assert sorted(order(criterion, brief(network(), colours))) == [
        (4,),
        (5,),
    ]  # of eight, the first four and last two stay


def test_protected_ends_of_a_short_model_are_refused(tiny: Model, colours: Task) -> None:
    given = CriterionInput(tiny, (encoded_task.ask(tiny, colours, "letter", colours.questions),), (), (), 4, 0, 4096)
    with pytest.raises(RunError, match="leaves the first 4 and last 2 blocks alone, and the model has 5"):
        named("magnitude+").make(given)
