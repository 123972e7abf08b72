"""Merged steps from the choice to a checkpoint, through files, ``DIR@K``, an assessment and recipes."""

import json
from pathlib import Path

import families
import numpy as np
import pytest
import torch
import word_tasks
from transformers import AutoModelForCausalLM, PreTrainedModel

import layercliff
from layercliff.errors import ModelError
from layercliff.metrics.perplexity import perplexity
from layercliff.models.anatomy import find_blocks
from layercliff.models.merged_blocks import Channelwise, Linear
from layercliff.models.model import Model
from layercliff.models.surgery import cut
from layercliff.pruning.step import Step
from layercliff.readout import likelihood
from layercliff.tasks.question import Task

MERGES: tuple[str, ...] = ("laco", "mka", "come")
CONV1D = ("c_attn", "c_proj", "c_fc")


def by_hand(network: PreTrainedModel, step: Step) -> PreTrainedModel:
    """The step's model, its weights written out: linear ones by the equation, those of a Llama's heads and channels one
    by one."""
    blocks = find_blocks(network)[1]
    dense = [{name: p.detach().clone() for name, p in block.named_parameters()} for block in blocks]
    for place, blend in step.blends.items():
        for name, parameter in blocks[place].named_parameters():
            if isinstance(blend, Linear):
                parameter.data = sum((c * dense[b][name] for b, c in blend.weights.items()), start=torch.zeros(()))
                continue
            leaf = name.split(".")[-2]
            rows = {"q_proj": 16, "k_proj": 8, "v_proj": 8, "gate_proj": 1, "up_proj": 1}
            columns = {"o_proj": 16, "down_proj": 1}
            slots = blend.heads if name.startswith("self_attn") else blend.channels
            if size := rows.get(leaf):
                parts = [dense[b][name][s * size : (s + 1) * size] for b, s in slots]
                parameter.data = torch.cat(parts)
            elif size := columns.get(leaf):
                parts = [dense[b][name][:, s * size : (s + 1) * size] for b, s in slots]
                parameter.data = torch.cat(parts, 1)
            else:
                assert "norm" in name
                parameter.data = sum((c * dense[b][name] for b, c in blend.outside.items()), start=torch.zeros(()))
    cut(network, step.kept)
    return network


@pytest.mark.parametrize("criterion", MERGES)
def test_steps_are_measured_as_the_merged_models_they_are(task: Task, criterion: str) -> None:
    model = Model.of(families.network("llama"), families.tokenizer())
    before = {name: (p.data_ptr(), p.detach().clone()) for name, p in model.network.named_parameters()}
    found = layercliff.prune(model, task, remove=3, criterion=criterion, assess=False)
    assert len(found.steps) == 4
    for step, trace in zip(found.steps, found.traces, strict=True):
        network = by_hand(families.network("llama"), step)
        whole = layercliff.trace(network, task, tokenizer=families.tokenizer()).trace
        report = [h == "report" for h in whole.half_of]
        np.testing.assert_allclose(trace.scores, whole.scores[:, report], rtol=1e-3, atol=1e-4)
    for name, parameter in model.network.named_parameters():
        place, value = before[name]
        assert parameter.data_ptr() == place
        assert torch.equal(parameter, value)


QUICK = (("gpt2", "laco"), ("llama", "come"), ("gemma3", "come"))
EXPORTED = [
    pytest.param(family, criterion, marks=() if (family, criterion) in QUICK else pytest.mark.slow)
    for criterion in ("laco", "come")
    for family in ("llama", "qwen2", "gemma3", "gpt2", "gpt_neox", "phi3")
]


@pytest.mark.parametrize(("family", "criterion"), EXPORTED)
def test_export_is_an_ordinary_checkpoint(
    tmp_path: Path, request: pytest.FixtureRequest, family: str, criterion: str
) -> None:
    if (family, criterion) != ("llama", "laco"):  # which a fresh process reloads
        request.getfixturevalue("reloads_here")
    model, words = families.saved(tmp_path / "model", family), word_tasks.written(tmp_path)
    run = tmp_path / "run"
    found = layercliff.prune(
        model, words, remove=2, criterion=criterion, format="letter", device="cpu", assess=False, out=run
    )
    exported = layercliff.export(run, tmp_path / "small", step=2, device="cpu", recipes=True)
    assert exported.proof.largest_logit_difference == 0
    assert exported.proof.generations_tied == 0
    assert exported.predictions_compared == 20
    record = json.loads((tmp_path / "small" / "layercliff.json").read_text())
    assert record["source_layer"] == list(found.steps[2].kept)
    assert list(record["merged"]) == [str(block) for block in found.steps[2].blends]
    card = (tmp_path / "small" / "README.md").read_text()
    assert "Merged: " in card
    assert "No recipe for mergekit: mergekit mixes blocks of different models" in card
    small = layercliff.trace(str(tmp_path / "small"), words, format="letter", device="cpu").trace
    report = [h == "report" for h in small.half_of]
    np.testing.assert_allclose(small.scores[:, report], found.traces[2].scores, rtol=1e-3, atol=1e-4)
    step = layercliff.trace(f"{run}@2", words, format="letter", device="cpu")
    np.testing.assert_allclose(step.trace.scores, small.scores, rtol=1e-5, atol=1e-6)
    assert layercliff.plan(f"{run}@2", words, format="letter").n_layers == 3
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    cut(plain, found.steps[2].kept)
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path / "small")
    assert any(
        not torch.equal(one, other) for one, other in zip(plain.parameters(), reloaded.parameters(), strict=True)
    )


@pytest.mark.parametrize("criterion", ["laco", "come", pytest.param("mka", marks=pytest.mark.slow)])
def test_a_path_resumes_to_the_same_bytes(
    tmp_path: Path, task: Task, monkeypatch: pytest.MonkeyPatch, criterion: str
) -> None:
    """It is read as it was written."""
    model = Model.of(families.network("llama"), families.tokenizer())
    found = layercliff.prune(model, task, remove=3, criterion=criterion, assess=False, out=tmp_path / "whole")
    again = layercliff.prune(model, task, remove=3, criterion=criterion, assess=False, out=tmp_path / "whole")
    assert again.steps == found.steps
    short = layercliff.prune(model, task, remove=2, criterion=criterion, assess=False, out=tmp_path / "short")
    assert short.steps == found.steps[:3]
    kind = Channelwise if criterion == "come" else Linear
    assert all(isinstance(blend, kind) for step in again.steps for blend in step.blends.values())
    assert (tmp_path / "whole" / "prune" / criterion / "blends.safetensors").exists() == (criterion == "come")

    from layercliff.readout.read import Reader

    read, left = Reader.read, [5]

    def interrupted(self: Reader, *arguments: object) -> object:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return read(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Reader, "read", interrupted)
    options = {"remove": 3, "criterion": criterion, "assess": False, "out": tmp_path / "run"}
    with pytest.raises(KeyboardInterrupt):
        layercliff.prune(model, task, batch_tokens=300, **options)  # type: ignore[arg-type]
    assert not (tmp_path / "run" / "prune" / criterion / "path.json").exists()
    layercliff.prune(model, task, **options)  # type: ignore[arg-type]
    files = ["path.json"] + (["blends.safetensors"] if criterion == "come" else [])
    for name in files:
        one, other = (tmp_path / run / "prune" / criterion / name for run in ("whole", "run"))
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("criterion", ["laco", "come"])
def test_an_assessment_is_of_the_merged_model(task: Task, criterion: str) -> None:
    model = Model.of(families.network("llama"), families.tokenizer())
    step = layercliff.prune(model, task, remove=2, criterion=criterion, assess=False).steps[2]
    text = ("one two three blue red", "which of these is a metal? iron, paper or wood in France")
    found = layercliff.assess(model, step.kept, text, blends=step.blends)
    rows = likelihood.rows(text, model.tokenizer, 40, 20)
    merged = Model.of(by_hand(families.network("llama"), step), families.tokenizer())
    scores = [likelihood.log_likelihoods(m, range(m.n_layers), rows)[0] for m in (model, merged)]
    wanted = perplexity(np.stack(scores), np.array([len(row.targets) for row in rows]), seed=0)
    assert found.perplexity.pruned.point == pytest.approx(wanted.pruned.point, rel=1e-4)
    assert found.perplexity.dense.point == pytest.approx(wanted.dense.point, rel=1e-4)
    other = layercliff.assess(merged, tuple(range(3)), text)
    assert [c.pruned for c in found.completions] == [c.dense for c in other.completions]


@pytest.mark.usefixtures("reloads_here")
def test_a_step_of_a_step(tmp_path: Path) -> None:
    """A path that removes blocks from a step that removed some is of the dense model; one that merges has to begin from
    a checkpoint."""
    model, words = families.saved(tmp_path / "model"), word_tasks.written(tmp_path)
    common = {"remove": 1, "format": "letter", "device": "cpu", "assess": False}

    def prune(model: str, criterion: str, out: str) -> layercliff.Pruned:
        return layercliff.prune(
            model,
            words,
            criterion=criterion,
            out=tmp_path / out,
            **common,  # type: ignore[arg-type]
        )

    first = prune(model, "head", "first")
    second = prune(f"{tmp_path / 'first'}@1", "tail", "second")
    assert (first.steps[1].kept, second.steps[1].kept) == ((1, 2, 3, 4), (0, 1, 2))
    twice = layercliff.trace(f"{tmp_path / 'second'}@1", words, format="letter", device="cpu").trace
    report = [h == "report" for h in twice.half_of]
    np.testing.assert_allclose(twice.scores[:, report], second.traces[1].scores, rtol=1e-4, atol=1e-5)

    prune(f"{tmp_path / 'first'}@1", "mka", "third")
    prune(model, "mka", "merged")
    prune(f"{tmp_path / 'merged'}@1", "tail", "fourth")
    for run in ("third", "fourth"):
        with pytest.raises(ModelError, match="would merge blocks of a model that is a step of a path itself"):
            layercliff.trace(f"{tmp_path / run}@1", words, format="letter", device="cpu")
    exported = layercliff.export(tmp_path / "fourth", tmp_path / "small", step=1, device="cpu", recipes=True)
    assert exported.proof.largest_logit_difference == 0
    assert "takes no two blocks of the same one" in (tmp_path / "small" / "README.md").read_text()


def test_other_weights_are_another_revision(tmp_path: Path) -> None:
    """Two paths that keep the same blocks with other merges are other models."""
    from layercliff.models import lookup

    model, words = families.saved(tmp_path / "model"), word_tasks.written(tmp_path)
    for criterion in ("tail", "laco", "mka"):
        layercliff.prune(
            model,
            words,
            remove=1,
            criterion=criterion,
            format="letter",
            device="cpu",
            assess=False,
            out=tmp_path / criterion,
        )  # type: ignore[arg-type]
    found = {criterion: lookup.locate(f"{tmp_path / criterion}@1").revision for criterion in ("tail", "laco", "mka")}
    assert len(set(found.values())) == 3
    assert "merged" in found["laco"]
    assert "merged" not in found["tail"]
