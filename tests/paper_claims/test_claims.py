"""The claims verb on a tiny model that decides in the middle: interrupted, gone on with, read again; and where there is
nothing to judge."""

import copy
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import families
import numpy as np
import polars as pl
import pytest
import torch
import word_tasks
from transformers import LlamaConfig, PreTrainedModel

import layercliff
from layercliff.analyses.patch import result as patched
from layercliff.analyses.recover import result as recovered
from layercliff.analyses.recover.result import Recovered
from layercliff.analyses.recover.shapes import RecoverSettings
from layercliff.analyses.similarity import result as similar
from layercliff.analyses.trace import result as traced
from layercliff.errors import LayercliffError, RunError, TaskError
from layercliff.finetuning import training
from layercliff.models.model import Model
from layercliff.models.surgery import cut
from layercliff.paper_claims import c05_similarity, registry, requirements, verdicts
from layercliff.paper_claims import training as claim_training
from layercliff.paper_claims.evidence import Evidence
from layercliff.paper_claims.stages import ALL, Stages
from layercliff.paper_claims.subsets import result as of_subsets
from layercliff.pruning import result as pruned
from layercliff.readout.read import Reader
from layercliff.report import page
from layercliff.run.directory import RunDirectory
from layercliff.tasks.question import Question, Task

L, T = 8, 4
IDS = [f"C{number}" for number in range(1, 11)]


def network() -> PreTrainedModel:
    """Eight blocks: the fourth turns the stream, those after it hardly change it."""
    shape = {**families._SHAPE, "num_hidden_layers": L}
    found = type(families.network("llama"))(LlamaConfig(**shape)).eval()  # families seeds the weights
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
        found.lm_head.weight.mul_(4.0)
        for number, block in enumerate(found.model.layers):
            for matrix in (block.self_attn.o_proj.weight, block.mlp.down_proj.weight):
                matrix.mul_(30.0 if number == T - 1 else 0.02 if number >= T else 4.0)
    return found


@pytest.fixture(scope="module")
def world() -> tuple[Model, Task]:
    """A model that decides at depth 4, and a task whose answers are what it says."""
    rng = np.random.default_rng(0)
    options = [tuple(rng.permutation(word_tasks.WORDS)[:4].tolist()) for _ in range(160)]
    questions = tuple(
        Question(
            f"q{i}", f"which {word_tasks.WORDS[i % 8]} {word_tasks.WORDS[i // 8 % 8]} is {i}?", options[i], 0, f"g{i}"
        )
        for i in range(160)
    )
    task = Task("said", questions, "made up", "none", "first_token")
    model = Model.of(network(), families.tokenizer(), "decided")
    trace = layercliff.trace(model, task).trace
    answers = dict(zip((question.id for question in trace.questions), trace.scores[-1].argmax(1).tolist(), strict=True))
    said = tuple(replace(question, gold=answers[question.id]) for question in questions)
    return model, replace(task, questions=said)


@pytest.fixture(scope="module")
def decided(world: tuple[Model, Task]) -> Model:
    return world[0]


@pytest.fixture(scope="module")
def task(world: tuple[Model, Task]) -> Task:
    return world[1]


class Stop(Exception):
    pass


@pytest.fixture(scope="module")
def run(decided: Model, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stopped while the phases are compared, and gone on with."""
    out = tmp_path_factory.mktemp("claims") / "run"

    def stop(what: str, done: int, _: int) -> None:
        if what == "blocks of either phase taken out" and done:
            raise Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYERCLIFF_CACHE", str(out.parent / "cache"))
        with pytest.raises(Stop):
            layercliff.claims(decided, task, out=out, report=stop)
        noise = (out / "noise" / "summary.json").stat().st_mtime_ns
        assert not (out / "claims.json").exists()
        layercliff.claims(decided, task, out=out)
        assert (out / "noise" / "summary.json").stat().st_mtime_ns == noise
    return out


def test_every_claim_has_a_verdict(run: Path) -> None:
    """It stands in the file, and first on the page."""
    content = json.loads((run / "claims.json").read_text())
    assert [entry["id"] for entry in content["claims"]] == IDS
    found = {entry["id"]: entry for entry in content["claims"]}
    assert found["C10"]["verdict"] == "supported"  # the blocks from T on hardly do anything
    assert (found["C10"]["measured"], found["C10"]["n"]) == (0.0, 160)
    assert found["C8"]["verdict"] == "undecided"
    for entry in content["claims"]:
        assert entry["verdict"] in ("supported", "contradicted", "undecided")
        assert (
            entry["reason"]
            if entry["verdict"] == "undecided"
            else entry["low"] is not None or entry["high"] is not None
        )
        assert entry["parts"] or entry["reason"]
    for name in ("C1", "C2", "C3", "C4", "C5", "C6", "C9", "C10"):
        assert found[name]["parts"], found[name]["reason"]
        assert found[name]["control"], name
    shown = (run / "report.html").read_text()
    assert shown.index('id="claims"') < shown.index('id="compare"') < shown.index('id="prune-margin"')
    assert all(f"<b>{name}</b>" in shown for name in IDS)


def test_what_was_run_is_what_the_rules_ask_for(decided: Model, task: Task, run: Path) -> None:
    sets = of_subsets.read(RunDirectory(run))
    assert sets is not None
    assert sets.transition == T
    runs = of_subsets.subsets(sets)
    by_kind = {
        kind: [one.removed for one in runs if one.kind == kind] for kind in dict.fromkeys(one.kind for one in runs)
    }
    assert {kind: len(removed) for kind, removed in by_kind.items()} == {
        "best": 1, "silent by margin": 1, "silent": 6, "decisive": 6, "anywhere": 21,
    }  # fmt: skip
    assert all(block >= T for removed in (*by_kind["best"], *by_kind["decisive"]) for block in removed)
    assert all(block < T for removed in (*by_kind["silent by margin"], *by_kind["silent"]) for block in removed)
    number = [one.removed for one in runs].index((1, 3))
    kept = tuple(block for block in range(L) if block not in (1, 3))
    prompts = Task(
        "said",
        tuple(q for q in task.questions if q.id in {x.id for x in sets.trace.questions}),
        "made up",
        "none",
        "first_token",
    )
    less = copy.deepcopy(decided.network)
    cut(less, list(kept))
    whole = layercliff.trace(less, prompts, tokenizer=families.tokenizer()).trace
    places = {question.id: index for index, question in enumerate(whole.questions)}
    order = [places[question.id] for question in sets.trace.questions]
    np.testing.assert_allclose(sets.scores[number], whole.scores[-1][order], rtol=1e-3, atol=1e-3)
    assert json.loads((run / "ablate" / "summary.json").read_text())["about"]["how"] == ["skip"]
    assert {path.name for path in (run / "claims").iterdir()} == {"subsets"}
    steps = pl.read_parquet(run / "similarity" / "summary.parquet")["step"].unique().to_list()
    collapse = json.loads((run / "prune" / "margin" / "path.json").read_text())["collapse"]["step"]
    assert {collapse - 1, collapse} <= set(steps)


def test_a_finished_run_is_judged_again_without_a_pass(
    decided: Model, task: Task, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reader, "read", lambda *_: pytest.fail("the model was run"))
    before = json.loads((run / "claims.json").read_text())
    found = layercliff.claims(decided, task, out=run)
    assert json.loads((run / "claims.json").read_text()) == before
    assert found["C10"].verdict == "supported"


@pytest.fixture
def copied(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished run, to be gone on with; its page is not drawn again."""
    monkeypatch.setattr(page, "write", lambda _: None)
    return Path(shutil.copytree(run, tmp_path / "run"))


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is trained, with few updates."""
    done: list[str] = []
    train = training.train

    def watched(*of: Any) -> Any:
        done.append(of[6].what)
        return train(*of)

    monkeypatch.setattr(training, "train", watched)
    monkeypatch.setattr(claim_training, "UPDATES", 4)
    return done


def collapse_of(run: Path) -> int:
    return int(json.loads((run / "prune" / "margin" / "path.json").read_text())["collapse"]["step"])


def test_steps_around_the_collapse_are_trained_when_asked_for(
    decided: Model, task: Task, copied: Path, trainings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, step = json.loads((copied / "claims.json").read_text())["claims"], collapse_of(copied)
    assert "--recover" in before[6]["reason"]
    told: list[float] = []

    def stop(what: str, done: int, total: int) -> None:
        if what == ALL:
            told.append(done / total)
        if what == f"training step {step}, seed 0" and done == 2:
            raise Stop

    with pytest.raises(Stop):
        layercliff.claims(decided, task, out=copied, recover=True, report=stop)
    assert told == sorted(told)
    assert 0 < told[-1] < 1
    found = layercliff.claims(decided, task, out=copied, recover=True)["C7"]
    names = [f"training step {number}, seed 0" for number in (0, step - 1, step, step + 2)]
    assert trainings == [*names[:3], *names[2:]]  # what was interrupted is gone on with
    kept = recovered.read(RunDirectory(copied))
    assert kept is not None
    (one,) = found.parts
    for number, said in ((step + 2, f"{one.measured:+.3f}"), (step, found.control), (0, found.control)):
        trace = kept.trained[number][0]
        chances = torch.from_numpy(trace.scores[-1]).double().softmax(1).numpy()
        margins = [row[gold] - np.delete(row, gold).max() for row, gold in zip(chances, trace.gold, strict=True)]
        assert f"{np.mean(margins):+.3f}" in said
    assert one.what == f"decision margin of step {step + 2} after training"
    assert "4 updates of 16 questions" in found.control
    after = json.loads((copied / "claims.json").read_text())["claims"]
    assert before[:6] + before[7:] == after[:6] + after[7:]
    monkeypatch.setitem(sys.modules, "trl", None)  # what is there needs no library, nor to be asked for
    claim_training.require(RunDirectory(copied))
    assert layercliff.claims(decided, task, out=copied)["C7"] == found
    assert len(trainings) == 5


@pytest.mark.slow
def test_a_training_that_is_there_is_gone_on_with_as_it_was_made(
    decided: Model, task: Task, copied: Path, trainings: list[str]
) -> None:
    step = collapse_of(copied)
    layercliff.recover(decided, task, steps=(step,), updates=2, batch=8, seeds=2, material="select", out=copied)
    trainings.clear()
    found = layercliff.claims(decided, task, out=copied, recover=True)["C7"]
    assert trainings == [f"training step {number}, seed {seed}" for number in (step - 1, step + 2) for seed in (0, 1)]
    assert "2 updates of 8 questions, mean of 2 seeds" in found.control
    assert found.parts


def test_a_path_that_ends_at_its_collapse_has_nothing_to_train(run: Path) -> None:
    dense, path = traced.read(RunDirectory(run)), pruned.read(RunDirectory(run), "margin")
    assert dense is not None
    assert path is not None
    assert claim_training.lacks(None, path)
    end = collapse_of(run) + 1
    short = replace(path, steps=path.steps[:end], traces=path.traces[:end])
    assert not claim_training.lacks(None, short)
    c7 = registry.registered()["C7"]
    (only,) = verdicts.judge(Evidence(dense, short), [c7]).verdicts
    assert "ends at the collapse" in only.reason
    assert c7.lacks(Evidence(dense, short)) == only.reason  # so that nothing is trained for it


def test_the_first_blocks_alone_say_nothing_of_similarity(run: Path) -> None:
    """Their states are the dense model's own, at a collapse as anywhere."""
    directory, step = RunDirectory(run), collapse_of(run)
    dense, path, alike = traced.read(directory), pruned.read(directory, "margin"), similar.read(directory)
    assert dense is not None
    assert path is not None
    assert alike is not None
    assert verdicts.judge(Evidence(dense, path, {c05_similarity.SIMILAR: alike}))["C5"].parts
    steps = list(path.steps)
    steps[step] = replace(steps[step], kept=tuple(range(len(steps[step].kept))))
    found = verdicts.judge(Evidence(dense, replace(path, steps=tuple(steps)), {c05_similarity.SIMILAR: alike}))["C5"]
    assert found.verdict == "undecided"
    assert "the dense model's own" in found.reason


def test_analyses_of_another_path_are_not_taken(run: Path) -> None:
    directory, step = RunDirectory(run), collapse_of(run)
    path, alike, exchanged = pruned.read(directory, "margin"), similar.read(directory), patched.read(directory)
    assert path is not None
    assert exchanged is not None
    assert alike is not None
    assert c05_similarity.has_steps(alike, path, step)
    assert path.holds(exchanged.settings)
    steps = list(path.steps)
    kept = steps[step].kept
    gone = next(block for block in range(L) if block not in kept)
    steps[step] = replace(steps[step], kept=tuple(sorted((gone, *kept[1:]))))
    for other in (replace(path, steps=tuple(steps)), replace(path, criterion_name="tail")):
        assert not c05_similarity.has_steps(alike, other, step)
        assert not other.holds(exchanged.settings)


def test_what_cannot_be_trained_is_said_first(
    decided: Model, task: Task, copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as missing:
        missing.setattr(Reader, "read", lambda *_: pytest.fail("the model was run"))
        missing.setitem(sys.modules, "trl", None)
        for out in (copied, tmp_path / "new"):
            with pytest.raises(LayercliffError, match=r"need the package trl.*\[recover\]"):
                layercliff.claims(decided, task, out=out, recover=True)
        assert not (copied / "recover").exists()
    path = pruned.read(RunDirectory(copied), "tail")
    assert path is not None
    about = {"criterion": "tail", "steps": {"0": list(range(L))}, "merged": {"0": None}, "cliff": None, "seeds": 1}
    dense, how = path.traces[0], training.Training("lora", 1, 1, 1e-3, 1, 0.0).as_dict()
    stored_by_tail = Recovered(
        path.subject, {0: dense}, {0: (dense,)}, RecoverSettings(**about, **how), {}, {0: [[]]}, path.cost
    )
    recovered.write(RunDirectory(copied), stored_by_tail)
    with pytest.raises(RunError, match=r"path by tail, which those by margin would replace"):
        layercliff.claims(decided, task, out=copied, recover=True)
    assert recovered.read(RunDirectory(copied)) is not None


def test_an_undecided_model_is_said(tiny: Model, tmp_path: Path) -> None:
    """Nothing is run for phases."""
    questions = tuple(Question(f"q{i}", f"is it {i}?", ("blue", "red", "green"), i % 3, f"g{i}") for i in range(120))
    found = layercliff.claims(tiny, Task("none", questions, "made up", "none", "first_token"), out=tmp_path / "run")
    assert {verdict.verdict for verdict in found.verdicts} == {"undecided"}
    assert "undecided" in found["C1"].reason or "not shown to decide" in found["C1"].reason
    assert "At the last depth: margin" in found["C1"].reason
    assert not (tmp_path / "run" / "noise").exists()


def test_undecided_model_that_collapses_needs_similarity(
    decided: Model, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C4 compares the collapse with a transition that is not there; C5 does not."""
    monkeypatch.setattr(page, "write", lambda _: None)
    monkeypatch.setattr(requirements, "no_transition", lambda _: "It does not decide.")
    found = layercliff.claims(decided, task, out=tmp_path / "run")
    assert found["C4"].reason.startswith("It does not decide. At the last depth: margin")
    assert found["C5"].parts
    held = {path.name for path in (tmp_path / "run").iterdir() if path.is_dir()}
    assert held == {"trace", "prune", "similarity"}
    assert {path.name for path in (tmp_path / "run" / "prune").iterdir() if path.is_dir()} == {"margin"}


def test_refusals(tiny: Model, colours: Task, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="name one with out"):
        layercliff.claims(tiny, colours)
    with pytest.raises(TaskError, match="2 tasks were named"):
        layercliff.claims(tiny, (colours, replace(colours, name="other")), out=tmp_path / "run")


def test_stages_add_up() -> None:
    told: list[tuple[str, int, int]] = []
    stages = Stages(lambda *what: told.append(what), {"one": 10.0, "two: a": 30.0, "three": 60.0})
    stages.skip("three")
    stages.run("one", lambda report: report("one of them", 1, 2))
    stages.run("two: a", lambda report: report("two", 1, 3))
    assert [(done, total) for what, done, total in told if what == ALL] == [(5, 40), (10, 40), (20, 40), (40, 40)]
