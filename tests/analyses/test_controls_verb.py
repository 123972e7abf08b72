"""The controls verb on tiny models: what is kept, what needs a pass, resume, text against transformers, figures,
refusals."""

from dataclasses import replace
from pathlib import Path

import families
import numpy as np
import polars as pl
import pytest
import torch
import word_tasks

import layercliff
from layercliff.analyses.controls import figures as control_figures
from layercliff.errors import RunError
from layercliff.models.model import Model
from layercliff.models.random_init import random_init
from layercliff.pruning.assess import LENGTH, SCORED
from layercliff.random_streams import RandomStream, generator
from layercliff.readout.read import Reader
from layercliff.report import chart
from layercliff.run.directory import key
from layercliff.run.session import Session
from layercliff.tasks import prose
from layercliff.tasks.question import Question, Task

L = families.N_LAYERS
FREE = ("shuffled-gold", "wrong-gold", "constant")


@pytest.fixture(scope="module")
def task() -> Task:
    return word_tasks.task(16, "letter")


@pytest.fixture(scope="module")
def run(tiny: Model, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("controls") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYERCLIFF_CACHE", str(directory.parent / "cache"))
        layercliff.trace(tiny, task, out=directory)
        layercliff.prune(tiny, task, remove=2, assess=False, out=directory)
        layercliff.controls(tiny, task, draws=2, out=directory)
    return directory


def test_every_control_beside_the_model(run: Path, tiny: Model, task: Task, tmp_path: Path) -> None:
    found = layercliff.controls(tiny, task, draws=2, out=run)
    names = ["model", "random-weights", "shuffled-gold", "wrong-gold", "shuffled-options", "constant"]
    assert found.table["control"].to_list() == names
    assert found.table["draws"].to_list() == [1, 2, 20, 20, 2, 1]
    assert len(found.curves) == len(names) * (L + 1)
    assert (
        (found.curves["margin_low"] <= found.curves["margin"]) & (found.curves["margin"] <= found.curves["margin_high"])
    ).all()
    traced = layercliff.trace(tiny, task, out=run)
    own = found.curves.filter(pl.col("control") == "model")
    np.testing.assert_array_equal(own["margin"], traced.main.margin.point)
    np.testing.assert_array_equal(own["accuracy_high"], traced.main.accuracy.high)
    page = (run / "report.html").read_text()
    assert 'id="analysis-controls"' in page
    assert "<td>random weights</td>" in page
    drawn = list(control_figures.figures(found))
    assert [f.name for f in drawn] == [
        "controls-words-margin",
        "controls-words-accuracy",
        "controls-text-depth",
        "controls-text-path",
    ]
    for figure in drawn:
        assert all(part in figure.caption for part in ("tiny", "float32", "seed 0"))
    (path,) = chart.write(drawn[:1], tmp_path, ("svg",))
    assert "random weights" in path.read_text()


def test_random_weights_have_learnt_nothing(run: Path, tiny: Model, task: Task) -> None:
    twin = random_init(tiny, 5)
    assert not torch.equal(twin.network.lm_head.weight, tiny.network.lm_head.weight)
    again = random_init(tiny, 5)
    assert all(map(torch.equal, twin.network.parameters(), again.network.parameters()))
    seeds = [int(generator(RandomStream.TWIN_WEIGHTS, 0, draw).integers(2**31)) for draw in (0, 1)]
    margins = [layercliff.trace(random_init(tiny, seed), task).main.margin.point for seed in seeds]
    found = layercliff.controls(tiny, task, draws=2, out=run).curves.filter(pl.col("control") == "random-weights")
    np.testing.assert_allclose(found["margin"], np.mean(margins, 0), atol=1e-6)


def test_options_in_another_order_are_the_same_options(tiny: Model, task: Task) -> None:
    """The gold option goes where its text goes: as the same task written down in that order."""
    found = layercliff.controls(tiny, task, which=("shuffled-options",), seed=3)
    asked = layercliff.trace(tiny, task, seed=3).trace.questions

    def moved(question: Question) -> Question:
        rng = generator(RandomStream.OPTION_ORDER, 3, 0, int(key(question.id)[:16], 16))
        order = rng.permutation(3).tolist()
        options = tuple(question.options[k] for k in order)
        return replace(question, options=options, gold=options.index(question.options[question.gold]))

    other = layercliff.trace(tiny, replace(task, questions=tuple(map(moved, asked))))
    own = found.curves.filter(pl.col("control") == "shuffled-options")
    np.testing.assert_allclose(own["margin"], other.main.margin.point, atol=1e-5)
    assert any(moved(q).gold != q.gold for q in asked)


def test_loss_on_text_is_the_networks_own(run: Path, tiny: Model, task: Task) -> None:
    found = layercliff.controls(tiny, task, draws=2, out=run)
    sums, count = np.zeros(2), 0
    path = layercliff.prune(tiny, task, remove=2, assess=False, out=run)
    for text in prose.PARAGRAPHS:
        ids = torch.tensor([tiny.tokenizer(text).input_ids[:LENGTH]])
        targets = ids[0, 1:][-SCORED:]
        with torch.inference_mode():
            passage = tiny.anatomy.enter(ids)
            pruned = list(passage.depths(path.steps[2].kept))[-1][1]
            unembed = tiny.anatomy.unembedding
            both = (
                tiny.network(input_ids=ids).logits[0],
                unembed.vocabulary_logits(unembed.normed(pruned[0]), 0, unembed.vocabulary),
            )
        for side, logits in enumerate(both):
            steps = logits[:-1][-len(targets) :].log_softmax(-1)
            sums[side] -= float(steps.gather(1, targets[:, None]).sum())
        count += len(targets)
    rows = {(row["where"], row["index"]): row for row in found.text.to_dicts()}
    assert rows["depth", L]["loss"] == pytest.approx(sums[0] / count, rel=1e-4)
    assert rows["step", 0]["loss"] == rows["depth", L]["loss"]
    assert rows["step", 2]["loss"] == pytest.approx(sums[1] / count, rel=1e-4)
    assert rows["step", 2]["rise"] == pytest.approx((sums[1] - sums[0]) / count, rel=1e-3)
    assert (rows["step", 2]["removed"], rows["step", 2]["tokens"]) == (2, count)
    assert len(rows) == L + 1 + 3


def test_other_golds_need_no_pass_and_no_model(
    tiny: Model, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layercliff.trace(tiny, task, out=tmp_path / "run")
    monkeypatch.setattr(Reader, "read", lambda *_: pytest.fail("a pass"))
    monkeypatch.setattr(Session, "model", property(lambda _: pytest.fail("a model")))
    found = layercliff.controls(tiny, task, which=FREE, out=tmp_path / "run")  # type: ignore[arg-type]
    assert found.table["control"].to_list() == ["model", *FREE]
    assert found.cost["block_passes"] == 0
    assert not len(found.text)


def test_what_was_made_before_stays(tiny: Model, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layercliff.trace(tiny, task, out=tmp_path / "run")
    first = layercliff.controls(tiny, task, which=("random-weights",), out=tmp_path / "run")
    monkeypatch.setattr(Reader, "read", lambda *_: pytest.fail("a pass"))
    both = layercliff.controls(tiny, task, which=("random-weights", "constant"), out=tmp_path / "run")
    assert sorted(both.table["control"]) == ["constant", "model", "random-weights"]
    keep = pl.col("control") == "random-weights"
    assert both.curves.filter(keep).equals(first.curves.filter(keep))
    notes: list[str] = []
    again = layercliff.controls(tiny, task, which=("constant",), out=tmp_path / "run", note=notes.append)
    assert "not computed again" in notes[0]
    assert again.table.equals(both.table)


def test_an_interrupted_control_goes_on(
    tiny: Model, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    which = ("random-weights", "plain-text")
    whole = layercliff.controls(tiny, task, which=which, batch_tokens=120)  # type: ignore[arg-type]
    read, left = Reader.read, [4]

    def until(self: Reader, *arguments: object) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return read(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Reader, "read", until)
    with pytest.raises(KeyboardInterrupt):
        layercliff.controls(tiny, task, which=which, batch_tokens=120, out=tmp_path / "run")  # type: ignore[arg-type]
    left[0] = whole.cost["batches"] - 4
    found = layercliff.controls(tiny, task, which=which, batch_tokens=120, out=tmp_path / "run")
    assert left[0] == 0
    assert found.curves.equals(whole.curves)
    assert found.text.equals(whole.text)


def test_refusals(tiny: Model, task: Task, run: Path) -> None:
    with pytest.raises(RunError, match="--draws is 0, and must be"):
        layercliff.controls(tiny, task, draws=0)
    with pytest.raises(RunError, match="options that stand in the prompt"):
        layercliff.controls(tiny, task, which=("shuffled-options",), format="cloze")
    two = replace(task, questions=tuple(replace(q, options=q.options[:2], gold=0) for q in task.questions))
    with pytest.raises(RunError, match="three options or more"):
        layercliff.controls(tiny, two, which=("wrong-gold",))
    with pytest.raises(RunError, match="no path by tail"):
        layercliff.controls(tiny, task, which=("plain-text",), criterion="tail", out=run)
