"""The recover verb on tiny models: resume, control, files, export, refusals."""

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import families
import numpy as np
import polars as pl
import pytest
import torch
import word_tasks
from commands import Here
from torch import Tensor
from transformers import AutoModelForCausalLM

import layercliff
from layercliff.analyses.recover import result as recovered
from layercliff.analyses.recover.result import Recovered
from layercliff.errors import LayercliffError, RunError
from layercliff.finetuning import training, weights
from layercliff.metrics import decision
from layercliff.models.model import Model
from layercliff.models.surgery import cut
from layercliff.run.directory import RunDirectory

SETTINGS: dict[str, Any] = {"steps": (1, 3), "updates": 10, "batch": 8, "rate": 1e-2, "rank": 4, "material": "unasked"}
LIMIT = 24


@pytest.fixture(scope="module")
def about(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A model and a task as files, so that a run can be exported."""
    directory = tmp_path_factory.mktemp("files")
    families.saved(directory / "model")
    rows = [
        {
            "id": f"q{i}",
            "question": f"which is {i}?",
            "options": [word_tasks.WORDS[(i + j) % 8] for j in range(3)],
            "answer": i % 3,
            "group": f"g{i // 2}",
        }
        for i in range(60)
    ]
    (directory / "words.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(directory / "model"), str(directory / "words.jsonl")


@pytest.fixture(autouse=True)
def shared_cache(about: tuple[str, str], own_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERCLIFF_CACHE", cache(about))


def cache(about: tuple[str, str]) -> str:
    """What draws pages is bundled once for all tests."""
    return str(Path(about[0]).parent / "cache")


@pytest.fixture(scope="module")
def pruned(about: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes run directories with a path, which is computed once."""
    first = tmp_path_factory.mktemp("pruned") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYERCLIFF_CACHE", cache(about))
        layercliff.prune(*about, format="first_token", remove=3, assess=False, limit=LIMIT, out=first)
    return lambda: Path(shutil.copytree(first, tmp_path_factory.mktemp("recovered") / "run"))


def recover(about: tuple[str, str], out: Path, **more: Any) -> Recovered:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYERCLIFF_CACHE", cache(about))
        return layercliff.recover(*about, format="first_token", limit=LIMIT, out=out, **{**SETTINGS, **more})


@pytest.fixture(scope="module")
def run(about: tuple[str, str], pruned: Callable[[], Path]) -> tuple[Path, Recovered]:
    directory = pruned()
    return directory, recover(about, directory, seeds=2)


def test_each_step_and_the_dense_model_are_trained_and_traced(run: tuple[Path, Recovered]) -> None:
    directory, found = run
    assert found.steps == (0, 1, 3)
    assert {step: len(traces) for step, traces in found.trained.items()} == {0: 2, 1: 2, 3: 2}
    for step in found.steps:
        assert found.untrained[step].scores.shape == found.trained[step][0].scores.shape
        assert set(found.trained[step][0].half_of) == {"report"}
        assert not np.array_equal(found.trained[step][0].scores, found.trained[step][1].scores)
    table = pl.read_parquet(directory / "recover" / "recover.parquet")
    after = table.filter(pl.col("trained") & (pl.col("step") == 3)).sort("depth")
    assert after["dense"].to_list() == [0, *(block + 1 for block in found.kept(3))]
    margins = [
        decision.margin(decision.probabilities(t.scores, t.mask), t.mask, t.gold).mean(1) for t in found.trained[3]
    ]
    np.testing.assert_allclose(after["margin"], np.mean(margins, 0))
    np.testing.assert_allclose(after["margin_seed_least"], np.min(margins, 0))
    ends = {row["step"]: row for row in json.loads((directory / "recover" / "summary.json").read_text())["ends"]}
    assert ends[3]["margin_after"] == pytest.approx(after["margin"][-1])
    assert ends[3]["margin_gain"] == pytest.approx(ends[3]["margin_after"] - ends[3]["margin_before"])
    assert ends[3]["margin_from_dense"] == pytest.approx(ends[3]["margin_after"] - ends[0]["margin_after"])
    assert ends[0]["margin_from_dense_low"] == ends[0]["margin_from_dense_high"] == 0


def test_what_is_trained_on_shares_no_group_with_what_is_asked(run: tuple[Path, Recovered]) -> None:
    directory, found = run
    asked = pl.read_parquet(directory / "prune" / "margin" / "questions.parquet")
    groups = set(asked["group"])  # the report half's
    traced = layercliff.trace(*_subject(directory), format="first_token", limit=LIMIT, out=directory)
    groups |= {question.group for question in traced.trace.questions}
    left = {f"g{i}" for i in range(30)} - groups
    assert found.material["words"] | {"digest": ""} == {"from": "unasked", "n": 2 * len(left), "digest": ""}


def _subject(directory: Path) -> tuple[str, str]:
    subject = json.loads((directory / "recover" / "summary.json").read_text())["model"]
    return subject, str(Path(subject).parent / "words.jsonl")


def test_the_select_half_where_little_is_left(about: tuple[str, str], pruned: Callable[[], Path]) -> None:
    notes: list[str] = []
    out = pruned()
    found = recover(about, out, material=None, steps=(1,), updates=0, note=notes.append)
    assert found.material["words"]["from"] == "select"
    n_report = len(found.untrained[0].questions)
    assert found.material["words"]["n"] == LIMIT - n_report
    assert any("the half that the path was chosen on" in note for note in notes)
    for step in found.steps:  # no update was made; options' rows multiply more depths at once than along the path
        np.testing.assert_allclose(found.trained[step][0].scores, found.untrained[step].scores, rtol=1e-5, atol=1e-6)


def test_an_interrupted_training_ends_with_the_same_numbers(
    about: tuple[str, str], pruned: Callable[[], Path], run: tuple[Path, Recovered]
) -> None:
    out = pruned()

    def stop(what: str, done: int, _: int) -> None:
        if what == "training step 1, seed 0" and done == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recover(about, out, report=stop)
    seen: dict[str, list[int]] = {}

    def watch(what: str, done: int, _: int) -> None:
        seen.setdefault(what, []).append(done)

    found = recover(about, out, report=watch)
    assert seen["training step 1, seed 0"] == [9, 10]  # from the checkpoint at 8, in the third epoch
    assert "training step 0, seed 0" not in seen
    assert seen["trained models"] == [10, 19, 20, 20, *range(21, 31), 30]  # updates of all three
    for step, (first, _) in run[1].trained.items():
        np.testing.assert_array_equal(found.trained[step][0].scores, first.scores)
        assert found.losses[step][0] == run[1].losses[step][0]
    assert not list((out / "recover" / "training").glob("*"))


@pytest.mark.slow
def test_checkpoints_of_a_finished_training_do_not_stay(
    about: tuple[str, str], pruned: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, forget = pruned(), RunDirectory.forget

    def killed(self: RunDirectory, name: str) -> None:
        if name.startswith("recover/training"):
            raise KeyboardInterrupt
        forget(self, name)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunDirectory, "forget", killed)
        recover(about, out, steps=(1,))
    assert list((out / "recover" / "training").glob("*"))
    seen: set[str] = set()
    recover(about, out, steps=(1,), report=lambda what, *_: seen.add(what))
    assert "training step 0, seed 0" not in seen
    assert not list((out / "recover" / "training").glob("*"))


def test_what_is_trained_is_not_trained_again(
    about: tuple[str, str], run: tuple[Path, Recovered], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(training, "train", never)
    notes: list[str] = []
    again = recover(about, run[0], seeds=2, note=notes.append)
    assert any("not computed again" in note for note in notes)
    np.testing.assert_array_equal(again.trained[3][1].scores, run[1].trained[3][1].scores)
    (run[0] / "recover" / "summary.json").unlink()  # as if killed before the end
    again = recover(about, run[0], seeds=2)
    np.testing.assert_array_equal(again.trained[3][1].scores, run[1].trained[3][1].scores)
    with pytest.raises(RunError, match=r"would replace: rate is 0\.01 there and 0\.02 here"):
        recover(about, run[0], seeds=2, rate=2e-2)


@pytest.mark.slow
def test_a_full_disk_leaves_no_finished_training_of_other_steps(
    about: tuple[str, str], pruned: Callable[[], Path], full_disk: Callable[[str], AbstractContextManager[None]]
) -> None:
    out = pruned()
    recover(about, out, steps=(1,), updates=0)
    with full_disk("summary.json"):
        recover(about, out, steps=(1, 2), updates=0)
    assert recovered.read(RunDirectory(out)) is None


def test_figures_page_and_command(about: tuple[str, str], run: tuple[Path, Recovered], here: Here) -> None:
    directory, _ = run
    names = {path.stem for path in layercliff.figures(directory, ("svg",)) if path.stem.startswith("recover")}
    assert names == {"recover-margin", "recover-accuracy", "recover-last-margin", "recover-last-accuracy"}
    assert "Pruned models after training" in (directory / "report.html").read_text()
    arguments = [
        "recover",
        "-m",
        about[0],
        "-t",
        about[1],
        "-f",
        "first_token",
        "--limit",
        str(LIMIT),
        "-o",
        str(directory),
    ]
    arguments += [
        "--step",
        "1",
        "--step",
        "3",
        "--seeds",
        "2",
        "--updates",
        "10",
        "--batch",
        "8",
        "--rate",
        "1e-2",
        "--rank",
        "4",
        "--material",
        "unasked",
    ]
    done = here(*arguments)
    assert done.returncode == 0, done.stderr
    assert "not computed again" in done.stderr
    assert done.stdout.startswith("Accuracy after training (LoRA of rank 4, 10 updates of 8 at rate 0.01")


@pytest.mark.usefixtures("reloads_here")
def test_a_trained_step_is_exported_and_proven(run: tuple[Path, Recovered], tmp_path: Path) -> None:
    directory, found = run
    seed = 1
    exported = layercliff.export(directory, tmp_path / "checkpoint", step=3, trained=seed)
    assert exported.proof.largest_logit_difference == 0
    assert exported.predictions_compared == len(found.untrained[0].questions)
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path / "checkpoint").eval()
    network = families.network("llama")
    cut(network, found.kept(3))
    network = weights.load(network, directory / "recover" / "models" / f"step-3-seed-{seed}")
    ids = torch.tensor([[5, 9, 17, 3]])
    with torch.no_grad():
        assert torch.equal(reloaded(ids).logits, network(ids).logits)
    record = json.loads((tmp_path / "checkpoint" / "layercliff.json").read_text())
    assert record["training"]["method"] == "lora"
    assert record["training"]["seed"] == seed
    assert record["training"]["report"]["n_questions"] == len(found.untrained[0].questions)
    card = (tmp_path / "checkpoint" / "README.md").read_text()
    assert "| pruned and trained |" in card
    assert f"--trained {seed}" in card


def test_full_training_with_distillation(
    about: tuple[str, str], pruned: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every update asks the dense model for half of its loss."""
    out, teachers, plain = pruned(), [], training.loss

    def watched(model: Model, ids: Tensor, labels: Tensor, teacher: Model, distill: float) -> Tensor:
        teachers.append((teacher.n_layers, distill))
        return plain(model, ids, labels, teacher, distill)

    monkeypatch.setattr(training, "loss", watched)
    found = recover(about, out, steps=(2,), method="full", distill=0.5, updates=3)
    for step in (0, 2):
        assert not np.array_equal(found.trained[step][0].scores, found.untrained[step].scores)
        assert (out / "recover" / "models" / f"step-{step}-seed-0" / "model.safetensors").exists()
    assert teachers == [(families.N_LAYERS, 0.5)] * 6


def test_refusals(
    about: tuple[str, str], run: tuple[Path, Recovered], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, _ = run
    with pytest.raises(RunError, match="name a run directory"):
        layercliff.recover(*about)
    with pytest.raises(RunError, match="there is no step 9"):
        recover(about, directory, steps=(9,))
    with pytest.raises(RunError, match="--seeds is 0, and must be"):
        recover(about, directory, seeds=0)
    with pytest.raises(RunError, match=r"was not trained in .* by seed 0"):
        layercliff.export(directory, tmp_path / "c", step=2, trained=0)
    with pytest.raises(RunError, match=r"was not trained in .* by seed 7"):
        layercliff.export(directory, tmp_path / "c", step=3, trained=7)
    with pytest.raises(RunError, match="cannot make trained weights"):
        layercliff.export(directory, tmp_path / "c", step=3, trained=0, recipes=True)
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(LayercliffError, match=r"need the package trl.*pip install '\.\[recover\]'"):
        recover(about, directory, steps=(2,))
