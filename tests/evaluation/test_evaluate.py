"""The verb eval on tiny models: every option's log-likelihood the slow way, files, resume, refusals, pairs."""

import hashlib
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import families
import numpy as np
import polars as pl
import pytest
import torch
from commands import Here
from tokenizers import Tokenizer, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import layercliff
from layercliff.errors import RunError
from layercliff.metrics.accuracy import METRICS
from layercliff.models.model import Model
from layercliff.models.surgery import cut
from layercliff.readout.read import Reader
from layercliff.tasks.prompts import ask
from layercliff.tasks.question import Question, Task


@torch.inference_mode()
def log_likelihood(model: Model, context: str, continuation: str) -> tuple[float, bool, int]:
    """One option, one forward pass of the network as it is, the whole vocabulary."""
    n_context = len(model.tokenizer(context).input_ids)
    ids = model.tokenizer(context + continuation).input_ids
    log_probability = model.network(torch.tensor([ids[:-1]])).logits[0].double().log_softmax(-1)[n_context - 1 :]
    targets = torch.tensor(ids[n_context:])
    greedy = bool((log_probability.argmax(-1) == targets).all())
    return float(log_probability.gather(1, targets[:, None]).sum()), greedy, len(targets)


@pytest.mark.parametrize(
    ("form", "shots"),
    [
        ("cloze", 0),
        ("letter", 2),
        pytest.param("cloze", 2, marks=pytest.mark.slow),
        pytest.param("letter", 0, marks=pytest.mark.slow),
    ],
)
def test_every_option_the_slow_way(family: str, colours: Task, form: str, shots: int) -> None:
    model = Model.of(families.network(family), families.tokenizer(begin=True), family)
    found = layercliff.evaluate(model, colours, format=form, shots=shots)  # type: ignore[arg-type]
    for row in found.options.iter_rows(named=True):
        value, greedy, tokens = log_likelihood(model, row["context"], row["continuation"])
        assert row["log_likelihood"] == pytest.approx(value, abs=2e-4, rel=1e-5)
        assert (row["greedy"], row["tokens"]) == (greedy, tokens)


def test_questions_are_the_first_of_the_file(tiny: Model, colours: Task) -> None:
    found = layercliff.evaluate(tiny, colours, limit=5, seed=3)
    assert found.questions["id"].to_list() == [f"q{i}" for i in range(5)]
    for question in colours.questions[:5]:
        rows = found.options.filter(id=question.id)
        assert rows["gold"].to_list() == [o == question.gold for o in range(len(question.options))]
        prompt = ask(colours, question, "cloze")
        assert rows["context"].to_list() == list(prompt.contexts)
        assert rows["characters"].to_list() == [len(option) for option in question.options]
    with pytest.raises(RunError, match="--limit is 0, and must be"):
        layercliff.evaluate(tiny, colours, limit=0)


def test_the_first_of_each_subject(tiny: Model) -> None:
    """As lm-evaluation-harness limits each of MMLU's subjects, in the order of the file."""
    subjects = ["law", "law", "art", "law", "art", "art", "logic"]
    questions = [Question(f"q{i}", f"{i}?", ("blue", "red"), 0, f"q{i}", s) for i, s in enumerate(subjects)]
    task = Task("exams", tuple(questions), "made up", "none", "cloze")
    assert layercliff.evaluate(tiny, task, limit=2).questions["id"].to_list() == ["q0", "q1", "q2", "q4", "q6"]
    assert len(layercliff.trace(tiny, task, limit=2).trace.questions) == 2  # a shuffled cut


def test_accuracies_by_sum_characters_bytes_and_tokens(tiny: Model) -> None:
    """By a plain loop over questions; an option of two-byte letters tells characters from bytes."""
    options = ("blue", "éééé é", "the capital of France", "red")
    questions = [Question(f"q{i}", f"which is {i}?", options[: 2 + i % 3], i % 2, f"q{i}") for i in range(30)]
    found = layercliff.evaluate(tiny, Task("mixed", tuple(questions), "made up", "none", "cloze"))
    columns = {"acc": None, "acc_norm": "characters", "acc_bytes": "bytes", "acc_tokens": "tokens"}
    for metric, column in columns.items():
        right = []
        for question in questions:
            rows = found.options.filter(id=question.id)
            values = [r["log_likelihood"] / (r[column] if column else 1) for r in rows.iter_rows(named=True)]
            right.append(values.index(max(values)) == question.gold)
        assert found.scores["mixed"][metric].value == pytest.approx(np.mean(right))
    assert [len(o.encode()) for o in options[:3]] == found.options.filter(id="q1")["bytes"].to_list()


def test_a_finished_run_is_read_and_an_interrupted_one_goes_on(
    tiny: Model, colours: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = layercliff.evaluate(tiny, colours)
    whole, runs = Reader.read, []

    def failing(self: Reader, *arguments: object) -> object:
        runs.append(1)
        if len(runs) == 3:
            raise KeyboardInterrupt
        return whole(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Reader, "read", failing)
    with pytest.raises(KeyboardInterrupt):
        layercliff.evaluate(tiny, colours, out=tmp_path / "run", batch_tokens=30)
    first = len(runs)
    found = layercliff.evaluate(tiny, colours, out=tmp_path / "run", batch_tokens=30)
    again = len(runs) - first
    layercliff.evaluate(tiny, colours, batch_tokens=30)
    assert again == len(runs) - first - again - 2  # two batches were kept
    np.testing.assert_allclose(found.options["log_likelihood"], expected.options["log_likelihood"], rtol=1e-4)
    done = len(runs)
    read = layercliff.evaluate(tiny, colours, out=tmp_path / "run")
    assert len(runs) == done
    assert read.options.equals(found.options)
    assert read.scores == found.scores
    layercliff.evaluate(tiny, colours, out=tmp_path / "run", resume=False)
    assert len(runs) > done
    folder = tmp_path / "run" / "evaluate"
    assert not (folder / "journal.sqlite").exists()
    summary = json.loads((folder / "summary.json").read_text())
    score = found.scores["colours"]["acc"]
    assert summary["tasks"]["colours"]["acc"]["value"] == score.value
    assert summary["tasks"]["colours"]["acc"]["stderr_clustered"] == score.stderr_clustered != score.stderr
    assert set(METRICS) < set(pl.read_parquet(folder / "questions.parquet").columns)


def test_a_trace_of_shuffled_questions_is_another_run(tiny: Model, colours: Task, tmp_path: Path) -> None:
    layercliff.trace(tiny, colours, format="cloze", out=tmp_path / "run")
    with pytest.raises(RunError, match="order is shuffled there and file here"):
        layercliff.evaluate(tiny, colours, out=tmp_path / "run")


def test_two_models_on_the_same_questions(tiny: Model, colours: Task) -> None:
    small = families.network("llama")
    cut(small, (0, 2, 4))
    dense = layercliff.evaluate(tiny, colours)
    pruned = layercliff.evaluate(Model.of(small, families.tokenizer(), "small"), colours)
    pair = pruned.against(dense)["colours"]["acc"]
    a, b = (e.questions["acc"].to_numpy() for e in (pruned, dense))
    assert pair.difference == pytest.approx(a.mean() - b.mean())
    assert (pair.won, pair.lost) == (((a == 1) & (b == 0)).sum(), ((a == 0) & (b == 1)).sum())
    assert pair.test == "bootstrap over groups"  # two questions to a group
    with pytest.raises(RunError, match=r"other questions of colours \(12 here, 4 there\)"):
        pruned.against(layercliff.evaluate(tiny, colours, limit=4))
    other = Task("numbers", colours.questions, "made up", "none", "cloze")
    with pytest.raises(RunError, match="has no colours"):
        pruned.against(layercliff.evaluate(tiny, other))


def test_another_model_is_compared_in_a_file(
    tiny: Model, colours: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mismatch is said before anything runs."""
    dense = layercliff.evaluate(tiny, colours)
    small = families.network("llama")
    cut(small, (0, 2, 4))
    model = Model.of(small, families.tokenizer(), "small")
    pruned = layercliff.evaluate(model, colours, out=tmp_path / "run")
    monkeypatch.setattr(Reader, "read", None)
    kept = layercliff.evaluate(model, colours, against=dense, out=tmp_path / "run")
    written = json.loads((tmp_path / "run" / "evaluate" / "against.json").read_text())
    assert written["model"] == "tiny"
    assert written["tasks"]["colours"]["acc"] == asdict(pruned.against(dense)["colours"]["acc"])
    assert kept.options.equals(pruned.options)
    changes: list[dict[str, Any]] = [{"limit": 4}, {"format": "letter"}, {"shots": 1}]
    for changed in changes:
        with pytest.raises(RunError, match="asked other questions of colours"):
            layercliff.evaluate(model, colours, against=dense, out=tmp_path / "other", **changed)
    assert not (tmp_path / "other").exists()


def test_the_harnesss_files(tiny: Model, colours: Task, tmp_path: Path) -> None:
    """As lm-evaluation-harness 0.4.13 writes them: what its readers take from them is there and is ours."""
    found = layercliff.evaluate(tiny, colours, limit=5, out=tmp_path / "run")
    folder = tmp_path / "run" / "evaluate" / "lm_eval" / "tiny"
    (results,) = (json.loads(path.read_text()) for path in folder.glob("results_*.json"))
    assert results["results"]["colours"]["acc,none"] == found.scores["colours"]["acc"].value
    assert results["results"]["colours"]["acc_norm_stderr,none"] == found.scores["colours"]["acc_norm"].stderr
    assert results["n-samples"]["colours"] == {"original": 12, "effective": 5}
    (path,) = folder.glob("samples_colours_*.jsonl")
    samples = [json.loads(line) for line in path.read_text().splitlines()]
    assert [sample["doc"]["id"] for sample in samples] == [f"q{i}" for i in range(5)]
    for sample, question in zip(samples, colours.questions, strict=False):
        rows = found.options.filter(id=question.id)
        assert [float(value) for value, _ in sample["filtered_resps"]] == rows["log_likelihood"].to_list()
        assert sample["resps"] == [[response] for response in sample["filtered_resps"]]
        assert sample["target"] == str(question.gold)
        assert sample["arguments"]["gen_args_1"]["arg_1"] == f" {question.options[1]}"
        assert sample["acc"] == found.questions.filter(id=question.id)["acc"][0]
        assert sample["prompt_hash"] == hashlib.sha256(rows["context"][0].encode()).hexdigest()


def test_context_that_is_no_prefix_of_the_whole(tiny: Model) -> None:
    """A tokenizer that merges the end of the context with the beginning of the option: the whole text's tokens from the
    length of the context's on, by one plain forward pass each."""
    tokenizer = families.tokenizer()
    merged = json.loads(tokenizer.backend_tokenizer.to_str())
    vocabulary = merged["model"]["vocab"]
    vocabulary[":\u0120"] = max(vocabulary.values()) + 1
    merged["model"]["merges"].insert(0, [":", "\u0120"])
    crossing = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(merged)))
    crossing.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    model = Model(tiny.name, tiny.revision, tiny.network, crossing, tiny.anatomy)
    question = Question("q", "which", ("blue", "red", "the capital"), 0, "q")
    task = Task("crossing", (question,), "made up", "none", "cloze", prompt="{question}:")
    found = layercliff.evaluate(model, task)
    context = crossing("which:").input_ids
    for row in found.options.iter_rows(named=True):
        whole = crossing("which: " + row["continuation"].strip()).input_ids
        assert whole[: len(context)] != context
        value, greedy, tokens = log_likelihood(model, "which:", row["continuation"])
        assert row["log_likelihood"] == pytest.approx(value, abs=2e-4)
        assert (row["greedy"], row["tokens"]) == (greedy, tokens) == (greedy, len(whole) - len(context))


def test_a_checkpoint_and_a_step_of_a_path(tiny: Model, colours: Task, tmp_path: Path) -> None:
    """Step 2 by its name is the checkpoint that keeps its blocks, in memory and written."""
    tiny.network.save_pretrained(tmp_path / "model")
    tiny.tokenizer.save_pretrained(tmp_path / "model")
    path = layercliff.prune(str(tmp_path / "model"), colours, remove=2, assess=False, out=tmp_path / "run")
    small = families.network("llama")
    cut(small, path.steps[2].kept)
    small.save_pretrained(tmp_path / "small")
    tiny.tokenizer.save_pretrained(tmp_path / "small")
    step, checkpoint, memory = (
        layercliff.evaluate(model, colours, tokenizer=tokenizer).options["log_likelihood"].to_list()
        for model, tokenizer in (
            (f"{tmp_path / 'run'}@2", None),
            (str(tmp_path / "small"), None),
            (small, tiny.tokenizer),
        )
    )
    assert step == pytest.approx(checkpoint, abs=1e-6)
    assert step == pytest.approx(memory, abs=1e-6)


def test_the_command(tiny: Model, tmp_path: Path, here: Here) -> None:
    """From questions in a file to a pair of models, and what it refuses."""
    tiny.network.save_pretrained(tmp_path / "model")
    tiny.tokenizer.save_pretrained(tmp_path / "model")
    rows = [{"question": f"which is {i}?", "options": ["blue", "red"], "answer": i % 2} for i in range(8)]
    (tmp_path / "task.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run = partial(here, "eval", "-m", tmp_path / "model", "--tasks", tmp_path / "task.jsonl")
    done = run("--limit", "6", "-o", tmp_path / "first")
    assert done.returncode == 0, done.stderr
    assert "acc_norm" in done.stdout
    assert run("--limit", "6", "-o", tmp_path / "second", "--against", tmp_path / "first").returncode == 0
    assert (
        json.loads((tmp_path / "second" / "evaluate" / "against.json").read_text())["tasks"]["task"]["acc"]["won"] == 0
    )
    done = run("--limit", "5", "-o", tmp_path / "third", "--against", tmp_path / "first")
    assert done.returncode == 2
    assert "asked other questions of task (5 here, 6 there)" in done.stderr
    assert not (tmp_path / "third").exists()
    done = run("-o", tmp_path / "fourth", "--against", tmp_path / "nothing")
    assert done.returncode == 2
    assert "holds no finished evaluation" in done.stderr
    assert not (tmp_path / "fourth").exists()


def test_depths_are_read_beside_the_last(tiny: Model, colours: Task, tmp_path: Path) -> None:
    """Each as the model cut off behind it, read through its own norm and head."""
    alone = layercliff.evaluate(tiny, colours)
    found = layercliff.evaluate(tiny, colours, depths=[0, 3], out=tmp_path / "run")
    assert found.depths == [0, 3, 5]
    assert alone.depths == [5]
    for depth in (3, 5):
        network = families.network("llama")
        cut(network, range(depth))
        slow = layercliff.evaluate(network, colours, tokenizer=families.tokenizer())
        there = found.at(depth)
        assert there.options.drop("log_likelihood").equals(slow.options.drop("log_likelihood"))
        np.testing.assert_allclose(there.options["log_likelihood"], slow.options["log_likelihood"], rtol=1e-5)
    assert found.options.equals(found.at(5).options)
    assert found.scores == alone.scores
    summary = json.loads((tmp_path / "run" / "evaluate" / "summary.json").read_text())
    assert summary["depths"]["3"]["colours"]["acc"]["value"] == found.at(3).scores["colours"]["acc"].value
    said: list[str] = []
    again = layercliff.evaluate(tiny, colours, depths=[3], out=tmp_path / "run", note=said.append)
    assert any("already" in sentence for sentence in said)
    assert again.layerwise.equals(found.layerwise)
    assert layercliff.evaluate(tiny, colours, depths="all", out=tmp_path / "run").depths == [0, 1, 2, 3, 4, 5]
    with pytest.raises(RunError, match="There is no depth 9: the model has depths 0"):
        layercliff.evaluate(tiny, colours, depths=[9])
