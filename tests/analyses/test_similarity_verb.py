"""The similarity verb on tiny models: against CKA of states taken one by one, controls, files, refusals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import word_tasks
from cka import cka

import layercliff
from layercliff.choices import Format
from layercliff.errors import RunError
from layercliff.models.model import Model
from layercliff.random_streams import RandomStream, generator
from layercliff.readout.batches import Batch
from layercliff.readout.encoded_task import ask
from layercliff.readout.lens import LogitLens
from layercliff.readout.read import Reader
from layercliff.tasks.question import Question, Task


@pytest.fixture(scope="module")
def task() -> Task:
    questions = tuple(
        Question(
            f"q{i}",
            f"{word_tasks.WORDS[i % 7]} {word_tasks.WORDS[i % 5]} or {i}?",
            tuple(word_tasks.WORDS[(i + j) % 8] for j in range(3)),
            i % 3,
            f"g{i}",
        )
        for i in range(40)
    )
    return Task("words", questions, "made up", "none", "first_token")


@pytest.fixture(scope="module")
def run(tiny: Model, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("similar") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYERCLIFF_CACHE", str(directory.parent / "cache"))
        layercliff.prune(tiny, task, remove=3, assess=False, out=directory)
        layercliff.similarity(tiny, task, steps=(1, 3), out=directory)
    return directory


def cell(run: Path, **wanted: object) -> dict[str, float]:
    table = pl.read_parquet(run / "similarity" / "similarity.parquet")
    return table.row(by_predicate=pl.all_horizontal(*(pl.col(k) == v for k, v in wanted.items())), named=True)


@torch.inference_mode()
def test_against_states_and_logits_one_by_one(tiny: Model, task: Task, run: Path) -> None:
    questions = layercliff.trace(tiny, task).trace.questions
    rows = ask(tiny, task, "first_token", questions).rows
    kept = layercliff.similarity(tiny, task, steps=(1, 3), out=run).settings.steps["3"]
    states: list[list[np.ndarray]] = [[], []]
    for row in rows:
        passage = tiny.anatomy.enter(torch.tensor([row.tokens]))
        for found, blocks in zip(states, (None, kept), strict=True):
            found.append(np.stack([h[0, -1].numpy() for _, h in passage.depths(blocks)]))
    dense, pruned = (np.stack(found, 1) for found in states)
    for standardised in (False, True):
        expected = cka(dense[4], pruned[2], standardised=standardised)
        found = cell(run, what="decision", step=3, dense=4, pruned=2, standardised=standardised)
        assert found["cka"] == pytest.approx(expected, abs=1e-4)
        assert (found["n"], found["d"]) == (40, 32)
    unembed = tiny.anatomy.unembedding
    logits = [
        np.stack([unembed.tokens(unembed.normed(torch.from_numpy(s[None])), torch.tensor([row.targets]))[0].numpy() for s, row in zip(stack, rows, strict=True)])
        for stack in (dense[4], pruned[2])
    ]  # fmt: skip
    expected = cka(*(scores - scores.mean(1, keepdims=True) for scores in logits))
    found = cell(run, what="options", step=3, dense=4, pruned=2, standardised=False)
    assert found["cka"] == pytest.approx(expected, abs=1e-4)
    assert found["d"] == 3


@pytest.mark.parametrize("form", ["first_token", "cloze"])
def test_options_and_random_tokens_are_read_in_one_pass(
    tiny: Model, task: Task, form: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the options' tokens and the random ones each read by themselves, a row at a time."""
    monkeypatch.setenv("LAYERCLIFF_CACHE", str(tmp_path / "cache"))
    task = replace(task, questions=task.questions[:12])
    path = layercliff.prune(tiny, task, format=form, remove=3, assess=False, out=tmp_path / "run")
    seen: list[int] = []
    read = Reader.read
    monkeypatch.setattr(
        Reader, "read", lambda self, batch, kept=None: seen.append(len(batch.rows)) or read(self, batch, kept)
    )  # type: ignore[func-returns-value]
    found = layercliff.similarity(tiny, task, format=form, steps=(3,), batch_tokens=10_000, out=tmp_path / "run").table
    part = ask(tiny, task, form, layercliff.trace(tiny, task, format=form).trace.questions)
    assert seen[:2] == [2 * len(part.rows)] * 2  # the dense model, and step 3

    unembedding = tiny.anatomy.unembedding
    order = generator(RandomStream.VOCABULARY, 0).permutation(unembedding.vocabulary)
    for what in ("options", "random"):
        rows = part.rows
        if what == "random":
            rows = tuple(replace(row, targets=tuple(int(order[t]) for t in row.targets)) for row in rows)
        features = []
        for kept, depth in ((range(5), 4), (path.steps[3].kept, 2)):
            reader = Reader(tiny, LogitLens(unembedding), part.reading, "none")
            readings = [(Batch((row,)), read(reader, Batch((row,)), kept)) for row in rows]
            scores = part.scores(readings)[0][depth]
            features.append(scores - scores.mean(-1, keepdims=True))
        value = found.row(
            by_predicate=(pl.col("what") == what)
            & ~pl.col("standardised")
            & (pl.col("step") == 3)
            & (pl.col("dense") == 4)
            & (pl.col("pruned") == 2),
            named=True,
        )["cka"]
        assert value == pytest.approx(cka(*features), abs=1e-4)


def test_a_model_is_like_itself_and_shuffled_pairs_are_not(run: Path) -> None:
    """Before the first removed block both models are one."""
    table = pl.read_parquet(run / "similarity" / "similarity.parquet").filter(pl.col("step") == 1)
    removed = pl.read_parquet(run / "prune" / "margin" / "candidates.parquet").filter(
        (pl.col("step") == 1) & pl.col("removed")
    )
    first = int(removed["block"][0])
    same = table.filter((pl.col("dense") == pl.col("pruned")) & (pl.col("dense") <= first)).drop_nulls("cka")
    assert len(same)
    np.testing.assert_allclose(same["cka"], 1, atol=1e-4)
    assert np.abs(same.filter(pl.col("what") == "decision")["shuffled"]).mean() < 0.15


def test_states_that_do_not_vary_are_left_empty(run: Path) -> None:
    """Before the first block the deciding token, a question mark, is the same in every question."""
    for depth in range(6):
        assert cell(run, what="decision", step=1, dense=0, pruned=min(depth, 4), standardised=False)["cka"] is None
    assert cell(run, what="options", step=1, dense=0, pruned=0, standardised=False)["cka"] is not None


def test_table_summary_and_figures(run: Path, tiny: Model, task: Task) -> None:
    found = layercliff.similarity(tiny, task, steps=(1, 3), out=run)
    assert len(found.table) == 4 * 2 * (6 * 6 + 6 * 5 + 6 * 3)
    assert found.summary.filter(pl.col("step") == 0)["third"].to_numpy() == pytest.approx(1)
    row = found.summary.row(
        by_predicate=(pl.col("what") == "tokens") & ~pl.col("standardised") & (pl.col("step") == 3), named=True
    )
    assert row["last"] == pytest.approx(cell(run, what="tokens", step=3, dense=5, pruned=2, standardised=False)["cka"])
    assert row["last_low"] <= row["last"] <= row["last_high"]
    names = {path.stem for path in layercliff.figures(run, ("svg",)) if path.stem.startswith("similarity")}
    maps = {
        f"similarity-words-{what}{end}"
        for what in ("tokens", "decision", "options", "random")
        for end in ("", "-standardised")
    }
    assert names == maps | {"similarity-words-step-1", "similarity-words-step-3"}
    page = (run / "report.html").read_text()
    assert "n = 40 questions, d = 3" in page
    assert "n = 160 tokens, d = 32" in page


def test_the_dense_model_beside_itself(run: Path) -> None:
    table = pl.read_parquet(run / "similarity" / "similarity.parquet")
    dense = table.filter((pl.col("step") == 0) & (pl.col("what") == "options") & ~pl.col("standardised"))
    square = dense.sort("dense", "pruned")["cka"].to_numpy().reshape(6, 6)
    np.testing.assert_allclose(square, square.T, atol=1e-12)
    np.testing.assert_allclose(np.diag(square), 1, atol=1e-12)
    assert square[0, 5] < 0.9


def test_too_few_for_an_interval(tiny: Model, task: Task, tmp_path: Path) -> None:
    """Six questions give a value; halves of three give no interval, which is null in files."""
    layercliff.prune(tiny, task, limit=6, remove=1, assess=False, out=tmp_path / "run")
    found = layercliff.similarity(tiny, task, limit=6, steps=(1,), out=tmp_path / "run")
    row = found.table.row(
        by_predicate=(pl.col("what") == "options") & ~pl.col("standardised") & (pl.col("step") == 1)
        & (pl.col("dense") == 5) & (pl.col("pruned") == 4), named=True,
    )  # fmt: skip
    assert row["cka"] is not None
    assert row["low"] is None


def test_refusals(tiny: Model, task: Task, tmp_path: Path, run: Path) -> None:
    with pytest.raises(RunError, match="name a run directory"):
        layercliff.similarity(tiny, task)
    with pytest.raises(RunError, match="is no run directory"):
        layercliff.similarity(tiny, task, out=tmp_path / "none")
    with pytest.raises(RunError, match="there is no step 9"):
        layercliff.similarity(tiny, task, steps=(9,), out=run)
    with pytest.raises(RunError, match="--tokens is 0, and must be"):
        layercliff.similarity(tiny, task, tokens=0, out=run)
