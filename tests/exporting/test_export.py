"""The export verb: ordinary checkpoints, near ties, steps of steps, refusals, and the commands that a card gives.
Reloads are in this process, for speed."""

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import families
import numpy as np
import pytest
import torch
import word_tasks
import yaml
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import layercliff
from layercliff.cli.app import app
from layercliff.errors import ModelError, RunError
from layercliff.exporting import answers
from layercliff.exporting.command import command
from layercliff.metrics.collapse import Collapse
from layercliff.models import checkpoint
from layercliff.models.model import Model
from layercliff.pruning import result as results
from layercliff.pruning.result import Pruned
from layercliff.pruning.selected_step import select_step
from layercliff.readout import encoded_task
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.trace import Trace
from layercliff.report import terminal, words
from layercliff.run.directory import RunDirectory
from layercliff.tasks import text as texts
from layercliff.tasks.question import Task

pytestmark = pytest.mark.usefixtures("reloads_here")


def task(name: str, n: int, options: int = 3) -> Task:
    return word_tasks.task(n, "letter", options, name)


def put(model: Model, *tasks: Task, form: str = "letter") -> list[EncodedTask]:
    return [encoded_task.ask(model, one, form, one.questions) for one in tasks]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sizes", "wanted"), [((40, 40), (16, 16)), ((5, 40), (5, 27)), ((40, 3, 2), (27, 3, 2)), ((4, 2), (4, 2))]
)
def test_questions_are_shared_between_tasks(tiny: Model, sizes: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    parts = put(tiny, *(task(f"t{number}-", size) for number, size in enumerate(sizes)))
    found = answers.drawn(parts, 32)
    assert tuple(len(part.questions) for part in found) == wanted
    assert all(part.questions == whole.questions[:n] for part, whole, n in zip(found, parts, wanted, strict=True))
    assert len(answers.drawn(put(tiny, *(task(f"t{i}-", 1) for i in range(4))), 3)) == 3


def given(model: Model, parts: list[EncodedTask]) -> list[torch.Tensor]:
    """The answers to the queries, from the model's own logits."""
    found = []
    for query in answers.queries(parts):
        logits = model.network(input_ids=torch.tensor([query.tokens])).logits[0].detach()[list(query.positions)]
        found.append(torch.stack([logits.gather(1, torch.tensor(query.targets)[:, None])[:, 0], logits.logsumexp(1)]))
    return found


@pytest.mark.parametrize("form", ["letter", "cloze"])
def test_only_near_ties_may_be_answered_otherwise(tiny: Model, form: str) -> None:
    tasks = (task("a", 6), task("b", 4, 2))
    traces = [layercliff.trace(tiny, one, format=form).trace for one in tasks]  # type: ignore[arg-type]
    path = Trace.joined(traces)
    shuffled = [replace(one, questions=trace.questions) for one, trace in zip(tasks, traces, strict=True)]
    parts = put(tiny, *shuffled, form=form)
    found = given(tiny, parts)
    agreed = answers.compare(parts, found, path, 1e-4)
    assert (agreed.questions, agreed.tied) == (10, 0)
    assert agreed.difference < 0.5
    scores = path.scores.copy()
    best, second, *_ = np.argsort(-scores[-1, 0, :3])
    scores[-1, 0, second] = scores[-1, 0, best] + 1e-3  # the path says another one
    other = replace(path, scores=scores)
    needed = answers.compare(parts, found, other, 10.0).difference * 10
    assert answers.compare(parts, found, other, 1.01 * needed).tied == 1
    with pytest.raises(ModelError, match=f"scores question {path.questions[0].id} otherwise than the path"):
        answers.compare(parts, found, other, 0.99 * needed)


@pytest.mark.parametrize("form", ["letter", "cloze"])
def test_scores_are_compared_also_where_the_same_option_wins(tiny: Model, form: str) -> None:
    """A path whose numbers are another model's is refused, though its answers are right."""
    one = task("a", 6)
    path = layercliff.trace(tiny, one, format=form).trace  # type: ignore[arg-type]
    parts = put(tiny, replace(one, questions=path.questions), form=form)
    other = replace(path, scores=path.scores + np.float32(0.2))
    with pytest.raises(ModelError, match="otherwise than the path"):
        answers.compare(parts, given(tiny, parts), other, 1e-4)


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """A run over two tasks of forty questions."""
    model, one = families.saved(tmp_path / "model"), word_tasks.written(tmp_path)
    other = tmp_path / "others.jsonl"
    other.write_text(Path(one).read_text().replace("which of", "what of"))
    layercliff.prune(
        model, f"{one},{other}", remove=2, format="letter", device="cpu", assess=False, out=tmp_path / "run"
    )
    return tmp_path / "run"


def test_a_path_over_two_tasks(both: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exported = layercliff.export(both, tmp_path / "small", step=2, device="cpu")
    assert (exported.predictions_compared, exported.predictions_tied) == (32, 0)
    terminal.show_export(exported)
    said = " ".join(capsys.readouterr().out.split())
    assert "The scores of 32 report questions are the path's within" in said
    card = (tmp_path / "small" / "README.md").read_text()
    for text in (said, card):
        assert exported.shown in text
        assert words.proof(exported) in text
    assert (exported.proof.tensors, exported.proof.largest_logit_difference) == (30, 0)
    assert 0 < exported.scores_differ < 0.5
    assert "is shown at 95 %" in exported.shown or "is not shown at 95 %" in exported.shown
    head = yaml.safe_load(card.split("---")[1])
    assert (head["base_model"], head["library_name"]) == ("model", "transformers")


def test_answers_are_those_of_the_reloaded_checkpoint(
    both: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that would answer otherwise is believed, though the model in memory answers as the path did."""
    ask = checkpoint._ask

    def otherwise(*arguments: Any) -> Any:
        found, said = ask(*arguments)
        answer = found["answer.00020"][0]
        answer[:] = -answer
        return found, said

    monkeypatch.setattr(checkpoint, "_ask", otherwise)
    with pytest.raises(ModelError, match="The reloaded checkpoint scores question"):
        layercliff.export(both, tmp_path / "small", step=1, device="cpu")
    assert not (tmp_path / "small").exists()


def test_a_step_that_began_at_a_step_is_told_in_dense_blocks(both: Path, tmp_path: Path) -> None:
    common = {"format": "letter", "device": "cpu", "assess": False, "remove": 1}
    asked_for = str(tmp_path / "words.jsonl")
    layercliff.prune(f"{both}@1", asked_for, criterion="mka", out=tmp_path / "second", **common)
    exported = layercliff.export(tmp_path / "second", tmp_path / "small", step=1, device="cpu")
    record = json.loads((tmp_path / "small" / "layercliff.json").read_text())
    first, second = select_step(both, 1, None), select_step(tmp_path / "second", 1, None)
    assert record["source_layer"] == [first.kept[index] for index in second.kept] == list(exported.kept)
    assert record["removed"] == [[first.kept[index] for index in second.pruned.steps[1].removed]]
    assert record["removed_before"] == sorted(set(range(5)) - set(first.kept))
    (place, made), *_ = record["merged"].items()
    (index, blend), *_ = second.blends.items()
    assert int(place) == first.kept[index]
    assert {int(block) for block in made["weights"]} == {first.kept[block] for block in blend.sources}
    assert (record["base_model"], record["n_layers_dense"]) == (str(tmp_path / "model"), 5)
    assert record["base_revision"] == first.pruned.subject.revision
    assert record["began_with"] == f"{both}@1"
    card = (tmp_path / "small" / "README.md").read_text()
    assert f"{tmp_path / 'model'} without 2 of its 5 blocks" in card
    assert f"Kept, in order: {', '.join(map(str, record['source_layer']))}." in card
    assert f"Merged: {place} of" in card


def test_an_existing_target_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    with pytest.raises(layercliff.LayercliffError, match="exists already"):
        layercliff.export(tmp_path / "nowhere", tmp_path / "small")


@pytest.mark.parametrize(
    "family", ["llama", "gemma3", *(pytest.param(name, marks=pytest.mark.slow) for name in ("qwen3_moe", "smollm3"))]
)
def test_export_is_an_ordinary_checkpoint(tmp_path: Path, family: str) -> None:
    model, words = families.saved(tmp_path / "model", family), word_tasks.written(tmp_path)
    found = layercliff.prune(model, words, remove=2, format="letter", device="cpu", out=tmp_path / "run")
    exported = layercliff.export(tmp_path / "run", tmp_path / "small", step=2, device="cpu")
    assert exported.proof.largest_logit_difference == 0
    assert exported.predictions_compared == 20
    record = json.loads((tmp_path / "small" / "layercliff.json").read_text())
    assert record["source_layer"] == list(found.steps[2].kept)
    card = (tmp_path / "small" / "README.md").read_text()
    assert "without 2 of its 5 blocks" in card
    small = layercliff.trace(str(tmp_path / "small"), words, format="letter", device="cpu").trace
    report = [h == "report" for h in small.half_of]
    np.testing.assert_allclose(small.scores[:, report], found.traces[2].scores, rtol=1e-4, atol=1e-5)
    step = layercliff.trace(f"{tmp_path / 'run'}@2", words, format="letter", device="cpu")
    np.testing.assert_allclose(step.trace.scores, small.scores, rtol=1e-5, atol=1e-6)
    assert step.trace.n_layers == 3
    assert layercliff.plan(f"{tmp_path / 'run'}@2", words, format="letter").n_layers == 3


def test_export_refusals(tmp_path: Path) -> None:
    model, words = families.saved(tmp_path / "model"), word_tasks.written(tmp_path)
    layercliff.trace(model, words, format="letter", out=tmp_path / "run")
    with pytest.raises(RunError, match="holds no finished path"):
        layercliff.export(tmp_path / "run", tmp_path / "small")
    layercliff.prune(model, words, remove=1, format="letter", out=tmp_path / "run")
    with pytest.raises(RunError, match="has steps 0-1: there is no step 4"):
        layercliff.export(tmp_path / "run", tmp_path / "small", step=4)
    with pytest.raises(ModelError, match="has steps 0-1: there is no step 9"):
        layercliff.load(f"{tmp_path / 'run'}@9")
    (tmp_path / "small").mkdir()
    with pytest.raises(RunError, match="exists already"):
        layercliff.export(tmp_path / "run", tmp_path / "small", step=1)
    families.network("llama", seed=1).save_pretrained(tmp_path / "model")
    with pytest.raises(ModelError, match="is another one than the path"):
        layercliff.export(tmp_path / "run", tmp_path / "other", step=1)


def test_the_last_step_before_the_cliff_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, words_ = families.saved(tmp_path / "model"), word_tasks.written(tmp_path)
    layercliff.prune(model, words_, remove=2, format="letter", device="cpu", out=tmp_path / "run")
    with pytest.raises(RunError, match="has no cliff: name a step"):
        layercliff.export(tmp_path / "run", tmp_path / "small", step="before-cliff", device="cpu")
    monkeypatch.setattr(Pruned, "collapse", Collapse(True, 2, 2.0, 2.0, 0.0))
    assert layercliff.export(tmp_path / "run", tmp_path / "small", step="before-cliff", device="cpu").step == 1


@pytest.mark.parametrize("damage", ["weights", "missing"])
@pytest.mark.usefixtures("reloads_here")
def test_a_checkpoint_that_reloads_otherwise_is_not_exported(
    tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    run = checkpoint.subprocess.run

    def damaged(command: list[str], **options: object) -> object:
        file = Path(command[5]) / "model.safetensors"
        tensors = load_file(file)
        if damage == "weights":
            tensors["model.layers.1.mlp.up_proj.weight"] = tensors["model.layers.1.mlp.up_proj.weight"] + 0.01
        else:
            del tensors["model.layers.1.mlp.up_proj.weight"]
        save_file(tensors, file, {"format": "pt"})
        return run(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(checkpoint.subprocess, "run", damaged)
    with pytest.raises(
        ModelError, match=r"1 altered tensors \(model.layers.1.mlp" if damage == "weights" else "1 missing keys"
    ):
        checkpoint.export(tiny, tmp_path / "small", [(5, 6, 7)], {})
    assert [path.name for path in tmp_path.iterdir()] == [".small.lock"]


def test_the_text_that_was_read_is_called_by_its_name(tmp_path: Path) -> None:
    model, words = families.saved(tmp_path / "model"), word_tasks.written(tmp_path)
    text = tmp_path / "our own.txt"
    text.write_text("The capital of France is Paris.\n\nblue red green yellow one two three")
    common: dict[str, Any] = {"remove": 1, "criterion": "loss", "format": "letter", "device": "cpu", "assess": False}
    for name, source in (("'our own.txt'", str(text)), ("prose", "prose")):
        layercliff.prune(model, words, text=source, out=tmp_path / name, **common)
        layercliff.export(tmp_path / name, tmp_path / f"{name}-small", step=1, device="cpu")
        card = (tmp_path / f"{name}-small" / "README.md").read_text()
        digest = texts.digest(texts.load(source))
        assert f" --text {name} " in card
        assert f"\n{name.strip(chr(39))} is the text that was read (fingerprint {digest})." in card
        assert str(text) not in card


def chatty(directory: Path) -> str:
    families.network("llama").save_pretrained(directory)
    tokenizer = families.tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
    tokenizer.save_pretrained(directory)
    return str(directory)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "remove": 2,
            "protect": (0, 1),
            "limit": 20,
            "seed": 3,
            "race": 0.05,
            "assess": False,
            "shots": 1,
            "chat": True,
        },
        pytest.param(
            {
                "to_ratio": 0.4,
                "criterion": "random",
                "draws": 3,
                "within": (0, 2),
                "dtype": "bfloat16",
                "format": "cloze",
                "normalisation": "sum",
                "assess": False,
            },
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {
                "remove": 1,
                "splits": 2,
                "sampler": "first_n",
                "shots": 1,
                "weights_dtype": "bfloat16",
                "criterion": "accuracy",
                "assess": False,
            },
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_cards_command_makes_the_same_path(tmp_path: Path, options: dict[str, Any]) -> None:
    """Parsed by the command line itself, into another directory: the same subject, the same wishes, the same steps."""
    one = word_tasks.written(tmp_path)
    watched = tmp_path / "own words.jsonl"
    watched.write_text(Path(one).read_text().replace("which of", "what of"))
    watch = str(watched) if options else ""
    layercliff.prune(chatty(tmp_path / "my model"), one, watch=watch, device="cpu", out=tmp_path / "run", **options)
    kept = [results.read(RunDirectory(tmp_path / "run"), options.get("criterion", "margin"))]
    assert kept[0] is not None
    line = command(kept[0], str(tmp_path / "again"))
    assert "--device" not in line
    words = shlex.split(line)
    assert words[:2] == ["layercliff", "prune"]
    if not options:
        assert words[2:] == [
            "--model",
            str(tmp_path / "my model"),
            "--task",
            one,
            "--format",
            "cloze",
            "--out",
            str(tmp_path / "again"),
        ]
    done = CliRunner().invoke(app, [*words[1:], "--device", "cpu"])
    assert done.exit_code == 0, done.output
    kept.append(results.read(RunDirectory(tmp_path / "again"), options.get("criterion", "margin")))
    assert kept[1] is not None
    assert kept[1].subject == kept[0].subject
    assert kept[1].settings == kept[0].settings
    assert [step.kept for step in kept[1].steps] == [step.kept for step in kept[0].steps]
