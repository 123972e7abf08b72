"""LaCo, MKA and CoMe on toy models whose right answer is known, and against their equations one prompt at a time."""

import math
from dataclasses import replace
from itertools import pairwise

import families
import numpy as np
import pytest
import torch
from test_ranked import L, brief, network, silenced

from layercliff.errors import ModelError, RunError
from layercliff.metrics import manifold
from layercliff.models.merged_blocks import Blends, Channelwise, Linear
from layercliff.models.merged_weights import blended
from layercliff.models.surgery import cut
from layercliff.models.weight_layout import KINDS
from layercliff.pruning import calibration
from layercliff.pruning.criteria import laco
from layercliff.pruning.criteria.come import CoMe, apportioned
from layercliff.pruning.criteria.laco import LaCo, collapsed
from layercliff.pruning.criteria.mka import MKA
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.step import BlockSelector, Step
from layercliff.tasks.question import Task

DENSE = Step(tuple(range(L)))


def walked(chooser: BlockSelector, steps: int) -> list[Step]:
    found = [DENSE]
    while len(found) <= steps and (after := chooser.choose(found[-1])) is not None:
        found.append(after)
    return found[1:]


def prompts(given: CriterionInput) -> list[torch.Tensor]:
    return [torch.tensor([row.tokens]) for row in given.asked[0].rows]


def states(model: torch.nn.Module, ids: torch.Tensor) -> list[torch.Tensor]:
    """At every depth, the last one normed, as transformers gives them."""
    with torch.inference_mode():
        return [h[0].double() for h in model(input_ids=ids, output_hidden_states=True).hidden_states]


# LaCo


def test_a_collapsed_run_against_the_equation() -> None:
    theta = dict(enumerate(np.random.default_rng(0).normal(size=L)))
    value = sum(c * theta[b] for b, c in collapsed({}, (3, 4, 5, 6)).weights.items())
    assert value == pytest.approx(theta[3] + sum(theta[3 + k] - theta[3] for k in (1, 2, 3)))


def test_merging_merged_blocks_is_merging_their_weights() -> None:
    theta = dict(enumerate(np.random.default_rng(1).normal(size=L)))

    def value(blend: Linear) -> float:
        return sum(c * theta[b] for b, c in blend.weights.items())

    blends: Blends = {4: collapsed({}, (4, 5, 6)), 2: Linear({2: 0.25, 3: 0.75})}
    two, four, seven = value(blends[2]), value(blends[4]), theta[7]  # type: ignore[arg-type]
    assert value(collapsed(blends, (2, 4, 7))) == pytest.approx(two + (four - two) + (seven - two))


def test_laco_merges_what_changes_nothing(colours: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laco, "THRESHOLD", 1 - 1e-9)
    first, second = walked(LaCo(brief(silenced(network(), 3, 4, 5), colours)), 2)
    assert (first.removed, second.removed) == ((4,), (5,))
    assert first.blends == {3: Linear({4: 1.0})}
    assert second.blends == {3: Linear({3: -1.0, 4: 1.0, 5: 1.0})}
    assert second.kept == (0, 1, 2, 3, 6, 7)
    assert first.scores[4] == pytest.approx(1, abs=1e-6)
    assert second.scores == {}


def test_laco_scans_down_and_begins_again(colours: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every merge passes: the last three, two places down from there, and so on, until one is left."""
    monkeypatch.setattr(laco, "THRESHOLD", -1.0)
    steps = walked(LaCo(brief(network(), colours)), L)
    assert [step.removed for step in steps] == [(6,), (7,), (4,), (5,), (2,), (3,), (1,)]
    assert steps[1].blends == {5: Linear({5: -1.0, 6: 1.0, 7: 1.0})}
    assert steps[3].blends == {3: Linear({3: -1.0, 4: 1.0, 5: -1.0, 6: 1.0, 7: 1.0})}
    assert set(steps[-1].blends) == {0}


def test_laco_begins_again_after_the_first_block(colours: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laco, "THRESHOLD", 1 - 1e-9)
    steps = walked(LaCo(brief(silenced(network(), 0, 1, 2), colours)), L)
    assert [step.removed for step in steps[:2]] == [(1,), (2,)]
    assert len(steps[2].scores) == L - 2 - 2  # every run of three of what is left, none of which changes nothing
    assert len(steps) == L - 1


def test_laco_cosines_against_transformers(colours: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """All merges tried, each model made by hand, each prompt alone."""
    monkeypatch.setattr(laco, "THRESHOLD", 2.0)
    given = brief(network(), colours)
    chooser = LaCo(given)
    step = chooser.choose(DENSE)
    assert step is not None
    assert sorted(step.scores) == list(range(1, L - 1))
    for second, score in step.scores.items():
        merged = network()
        first = second - 1
        theta = [dict(block.named_parameters()) for block in merged.model.layers]  # type: ignore[union-attr]
        with torch.no_grad():
            for name, parameter in theta[first].items():
                own = parameter.clone()
                parameter.copy_(own + (theta[second][name] - own) + (theta[second + 1][name] - own))
        cut(merged, [b for b in range(L) if b not in (second, second + 1)])  # type: ignore[arg-type]
        cosines = []
        for ids in prompts(given)[: laco.PROMPTS]:
            here, there = (states(model, ids)[-1].flatten() for model in (merged, given.model.network))
            cosines.append(float(torch.cosine_similarity(here, there, dim=0)))
        assert score == pytest.approx(np.mean(cosines), abs=1e-5)
    best = max(step.scores.values())
    assert step.scores[step.removed[0]] == best == chooser.threshold
    assert chooser.passes == L + L + sum(
        range(1, L - 1)
    )  # dense states, this step's states, what follows each run tried
    assert chooser.seconds > 0


@torch.inference_mode()
def test_laco_goes_on_from_merged_blocks(colours: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a second merge is scored on is the model after the first."""
    monkeypatch.setattr(laco, "THRESHOLD", 2.0)
    given = brief(network(), colours)
    third = walked(LaCo(given), 3)[2]
    chosen = third.removed[0]
    before = walked(LaCo(given), 2)[1]
    first = before.kept.index(chosen) - 1
    window = before.kept[first : first + 3]
    cosines = []
    for ids in prompts(given)[: laco.PROMPTS]:
        dense = states(given.model.network, ids)[-1].flatten()
        with blended(given.model.network, {**before.blends, window[0]: collapsed(before.blends, window)}):
            *_, (_, last) = given.model.anatomy.enter(ids).depths([b for b in before.kept if b not in window[1:]])
            normed = given.model.anatomy.unembedding.normed(last[0]).flatten().double()
        cosines.append(float(torch.cosine_similarity(normed, dense, dim=0)))
    assert third.scores[chosen] == pytest.approx(np.mean(cosines), abs=1e-5)


def test_laco_leaves_protected_blocks(colours: Task) -> None:
    steps = walked(LaCo(replace(brief(network(), colours), protected=(0, 5))), L)
    assert len(steps) == 2  # no three others follow one another any more
    assert not {0, 5} & (set().union(*(s.removed for s in steps)) | set(steps[-1].blends))
    assert walked(LaCo(replace(brief(network(), colours), protected=(2, 5))), L) == []


# MKA


def test_mka_merges_neighbours_that_say_the_same(colours: Task) -> None:
    """A block that writes nothing has the output of the one before it."""
    given = brief(silenced(network(), 5), colours)
    (step,) = walked(MKA(given), 1)
    assert step.removed == (5,)
    share = step.scores[5]
    blend = step.blends[4]
    assert isinstance(blend, Linear)
    assert blend.weights.get(5, 0.0) == 1 - share
    assert max(step.scores.values()) == share == pytest.approx(1)


def test_mka_similarities_against_one_prompt_at_a_time(colours: Task) -> None:
    given = brief(network(), colours)
    chooser = MKA(given)
    step = chooser.choose(DENSE)
    assert step is not None
    outputs = [[] for _ in range(L + 1)]  # type: ignore[var-annotated]
    for ids in prompts(given):
        for depth, (_, hidden) in enumerate(given.model.anatomy.enter(ids).depths()):
            outputs[depth].append(hidden[0, -1].detach().numpy())
    kernels = [manifold.closeness(manifold.diffusion_map(np.stack(output))) for output in outputs[1:]]
    for block in range(1, L):
        wanted = manifold.shared_information(kernels[block - 1], kernels[block])
        assert step.scores[block] == pytest.approx(wanted, rel=1e-3)
    assert chooser.passes == L * len(list(calibration.batches_of(given)))


def test_mka_merges_merged_blocks(colours: Task) -> None:
    """Every path ends in one block; a mixture's coefficients sum to 1, and are products of shares."""
    steps = walked(MKA(brief(network(), colours)), L)
    assert steps[-1].kept == (0,)
    (blend,) = steps[-1].blends.values()
    assert isinstance(blend, Linear)
    assert set(blend.weights) == set(range(L))
    assert math.isclose(sum(blend.weights.values()), 1)
    for before, after in pairwise(steps):
        (gone,) = after.removed
        first = before.kept[before.kept.index(gone) - 1]
        share = after.scores[gone]
        one, other = (before.blends.get(b, Linear({b: 1.0})) for b in (first, gone))
        assert isinstance(one, Linear) and isinstance(other, Linear)
        wanted = {
            b: share * one.weights.get(b, 0) + (1 - share) * other.weights.get(b, 0)
            for b in one.sources | other.sources
        }
        found = after.blends[first]
        assert isinstance(found, Linear)
        assert found.weights == pytest.approx(wanted)


def test_mka_refuses_few_questions(colours: Task) -> None:
    given = brief(network(), replace(colours, questions=colours.questions[:7]))
    with pytest.raises(RunError, match="at least 8 questions, and 7 are selected on"):
        MKA(given).choose(DENSE)


# CoMe


def test_shares() -> None:
    assert apportioned(9, [0.4, 0.6]) == [3, 6]
    assert apportioned(2, [0.5, 0.5]) == [1, 1]
    assert apportioned(1, [0.1, 0.9]) == [0, 1]
    assert apportioned(3, [0.99, 0.01]) == [3, 0]


def test_come_merges_neighbours_across_which_nothing_turns(colours: Task) -> None:
    given = brief(silenced(network(), 3, 4), colours)
    (step,) = walked(CoMe(given), 1)
    assert step.removed == (4,)
    assert step.scores[4] == pytest.approx(0, abs=1e-6)
    blend = step.blends[3]
    assert isinstance(blend, Channelwise)
    assert [sum(block == 3 for block, _ in slots) for slots in (blend.heads, blend.channels)] == [1, 24]
    assert blend.outside == {3: 0.5, 4: 0.5}


def test_come_against_one_prompt_at_a_time(colours: Task) -> None:
    """Turns, Block Influence and sensitivities by hooks on the network's own forward, and what is to be taken by
    them."""
    given = brief(network(), colours)
    chooser = CoMe(given)
    step = chooser.choose(DENSE)
    assert step is not None
    layers = given.model.network.model.layers
    writers = {"heads": [b.self_attn.o_proj for b in layers], "channels": [b.mlp.down_proj for b in layers]}
    seen: dict[str, list[list[torch.Tensor]]] = {kind: [[] for _ in layers] for kind in writers}
    hooks = [
        module.register_forward_pre_hook(lambda _, x, at=seen[kind][place]: at.append(x[0][0].detach().double()))
        for kind, modules in writers.items()
        for place, module in enumerate(modules)
    ]  # fmt: skip
    depths = [[h[0].detach().double() for _, h in given.model.anatomy.enter(ids).depths()] for ids in prompts(given)]
    for hook in hooks:
        hook.remove()

    def angle(one: torch.Tensor, other: torch.Tensor) -> float:
        return math.acos(float(torch.cosine_similarity(one, other, dim=0))) / math.pi

    for block in range(1, L):
        turn = np.mean([angle(h[block - 1][-1], h[block + 1][-1]) for h in depths])
        assert step.scores[block] == pytest.approx(-turn, rel=1e-3)
    (gone,) = step.removed
    first = gone - 1
    assert step.scores[gone] == max(step.scores.values())
    influence = [
        np.mean(torch.cat([1 - torch.cosine_similarity(h[b], h[b + 1], dim=-1) for h in depths]).numpy())
        for b in (first, gone)
    ]
    shares = [value / sum(influence) for value in influence]
    blend = step.blends[first]
    assert isinstance(blend, Channelwise)
    assert blend.inside == pytest.approx({first: shares[0], gone: shares[1]}, rel=1e-3)
    for kind, slots in (("heads", blend.heads), ("channels", blend.channels)):
        taken = apportioned(len(slots), shares)
        for block, n in zip((first, gone), taken, strict=True):
            x, w = torch.cat(seen[kind][block]), writers[kind][block].weight.detach().double()
            channels = [float(x[:, c].abs().mean() * w[:, c].abs().sum()) for c in range(w.shape[1])]
            size = w.shape[1] // len(slots)
            sensitive = [np.mean(channels[slot * size : (slot + 1) * size]) for slot in range(len(slots))]
            assert [s for b, s in slots if b == block] == sorted(np.argsort(sensitive)[::-1][:n])
    assert chooser.passes == L * len(list(calibration.batches_of(given)))
    assert chooser.seconds > 0


def test_come_looks_at_the_merged_model(colours: Task) -> None:
    """The second choice is what a model that begins with the first one's weights would choose."""
    first, second = walked(CoMe(brief(network(), colours)), 2)
    merged = network()
    cut(merged, first.kept, first.blends)  # type: ignore[arg-type]
    given = brief(merged, colours)
    there = CoMe(given).choose(Step(tuple(range(L - 1))))
    assert there is not None
    assert [first.kept[block] for block in there.removed] == list(second.removed)
    assert list(there.scores.values()) == pytest.approx(list(second.scores.values()), rel=1e-4)
    twice = network()
    cut(twice, second.kept, second.blends)  # type: ignore[arg-type]
    cut(merged, there.kept, there.blends)  # type: ignore[arg-type]
    for here, other in zip(twice.parameters(), merged.parameters(), strict=True):
        torch.testing.assert_close(here, other)


def test_come_takes_every_slot_from_somewhere(colours: Task) -> None:
    steps = walked(CoMe(brief(network(), colours)), L)
    assert len(steps) == L - 1
    (blend,) = steps[-1].blends.values()
    assert isinstance(blend, Channelwise)
    assert [len(getattr(blend, kind)) for kind in KINDS] == [2, 48]
    assert len(set(blend.channels)) == 48
    assert math.isclose(sum(blend.inside.values()), 1)
    assert math.isclose(sum(blend.outside.values()), 1)


def test_come_refuses_what_it_does_not_understand(colours: Task) -> None:
    given = brief(families.network("bloom"), colours)
    with pytest.raises(ModelError, match="BloomBlock is not understood"):
        CoMe(given).choose(Step(tuple(range(5))))
