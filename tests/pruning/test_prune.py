"""The prune verb on tiny models: the obvious loop, resume, files, refusals."""

import json
from pathlib import Path

import families
import numpy as np
import polars as pl
import pytest
import torch
import word_tasks
from commands import Here
from transformers import AutoModelForCausalLM, DiffLlamaConfig

import layercliff
from layercliff.choices import Format
from layercliff.errors import LayercliffError, RunError, TaskError
from layercliff.metrics import decision
from layercliff.metrics.phases import transition_depths
from layercliff.models.model import Model
from layercliff.models.surgery import cut
from layercliff.report import terminal, words
from layercliff.tasks.question import Task


@pytest.mark.parametrize("family", ["llama", "gemma3", "bloom"])
@pytest.mark.parametrize("form", ["first_token", "cloze"])
def test_each_step_is_the_best_of_running_every_candidate(task: Task, family: str, form: Format) -> None:
    """Against the careful loop: cut a block out, trace the model, take the best margin on the select half."""
    found = layercliff.prune(Model.of(families.network(family), families.tokenizer()), task, remove=2, format=form)
    for before, step in zip(found.steps, found.steps[1:], strict=False):
        margins = {}
        for block in before.kept:
            network = families.network(family)
            cut(network, [b for b in before.kept if b != block])
            trace = layercliff.trace(network, task, tokenizer=families.tokenizer(), format=form).trace
            select = [h == "select" for h in trace.half_of]
            margins[block] = float(
                decision.margin(decision.probabilities(trace.scores[-1:], trace.mask), trace.mask, trace.gold)[
                    0, select
                ].mean()
            )
        assert step.scores == pytest.approx(margins, rel=1e-4, abs=1e-6)
        assert step.removed == (max(margins, key=lambda b: (margins[b], b)),)
        assert step.kept == tuple(b for b in before.kept if b not in step.removed)


def test_steps_are_reported_on_the_other_half(tiny: Model, task: Task) -> None:
    found = layercliff.prune(tiny, task, remove=2)
    traced = layercliff.trace(tiny, task).trace
    report = [h == "report" for h in traced.half_of]
    assert set(found.traces[0].half_of) == {"report"}
    assert found.n_select == len(report) - sum(report)
    np.testing.assert_allclose(found.traces[0].scores, traced.scores[:, report], rtol=1e-4, atol=1e-5)
    assert [t.n_layers for t in found.traces] == [5, 4, 3]


def test_few_reported_questions_are_told(
    tiny: Model, task: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = layercliff.prune(tiny, task, remove=1, out=tmp_path / "run")
    few = f"{found.main(0).n_groups} independent questions are few"
    assert f"Reported on: {few}" in (tmp_path / "run" / "report.html").read_text()
    terminal.show_path(found, tmp_path / "run")
    assert f"Note: reported on {few}" in capsys.readouterr().out


def test_files_and_reading_back(tiny: Model, task: Task, tmp_path: Path) -> None:
    found = layercliff.prune(tiny, task, remove=3, protect=(0,), out=tmp_path / "run")
    folder = tmp_path / "run" / "prune" / "margin"
    path = json.loads((folder / "path.json").read_text())
    assert [step["step"] for step in path["steps"]] == [0, 1, 2, 3]
    assert path["steps"][0]["kept"] == [0, 1, 2, 3, 4]
    assert all(0 in step["kept"] for step in path["steps"])
    assert "0" not in path["steps"][1]["scores"]
    assert {"defined", "step", "low", "high", "critical_ratio"} <= set(path["collapse"])
    assert len(pl.read_parquet(folder / "candidates.parquet")) == 4 + 3 + 2
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000
    again = layercliff.prune(tiny, task, remove=3, protect=(0,), out=tmp_path / "run")
    assert again.steps == found.steps
    assert again.collapse == found.collapse
    np.testing.assert_array_equal(again.correct, found.correct)
    assert len(layercliff.figures(tmp_path / "run", ("svg",))) == 7


def test_a_longer_path_begins_with_the_shorter_ones_steps(tiny: Model, task: Task, tmp_path: Path) -> None:
    short = layercliff.prune(tiny, task, remove=1, out=tmp_path / "run")
    long = layercliff.prune(tiny, task, remove=3, out=tmp_path / "run")
    assert long.steps[:2] == short.steps
    fresh = layercliff.prune(tiny, task, remove=3)
    assert fresh.steps == long.steps


def test_a_path_chosen_otherwise_is_not_replaced(tiny: Model, task: Task, tmp_path: Path) -> None:
    """Only when that is asked for; what was found out about steps that are gone then leaves the page."""
    out = tmp_path / "run"
    first = layercliff.prune(tiny, task, remove=2, out=out)
    layercliff.patch(tiny, task, steps=(1,), out=out)
    assert "States exchanged" in (out / "report.html").read_text()
    gone = first.steps[1].removed[0]
    with pytest.raises(RunError, match=f"protect is not given there and {gone} here. Give --fresh to replace it"):
        layercliff.prune(tiny, task, remove=2, protect=(gone,), out=out)
    with pytest.raises(RunError, match=r"race is not given there and 0\.05 here"):
        layercliff.prune(tiny, task, remove=2, race=0.05, out=out)
    assert layercliff.prune(tiny, task, remove=2, out=out).steps == first.steps
    layercliff.prune(tiny, task, remove=2, protect=(gone,), out=out, resume=False)
    assert "States exchanged" not in (out / "report.html").read_text()


def test_several_tasks_are_selected_jointly(tiny: Model, task: Task) -> None:
    other = Task("others", task.questions[:20], "s", "l", "letter")
    found = layercliff.prune(tiny, [task, other], remove=1)
    assert set(found.analyses[1]) == {"words", "others", "joint"}
    assert abs(sum(found.steps[1].scores.values())) < 1e-9  # standardised


def test_trace_and_path_share_a_directory(tiny: Model, task: Task, tmp_path: Path) -> None:
    layercliff.trace(tiny, task, out=tmp_path / "run")
    layercliff.prune(tiny, task, remove=1, out=tmp_path / "run")
    assert len(layercliff.figures(tmp_path / "run", ("svg",))) == 12
    with pytest.raises(RunError, match="seed is 0 there and 1 here"):
        layercliff.prune(tiny, task, remove=1, seed=1, out=tmp_path / "run")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"remove": 5}, "5 blocks cannot be removed: the model has 5, of which 1 to 4"),
        ({"remove": 1, "to_ratio": 0.5}, "not both"),
        ({"to_ratio": 1.5}, "--to-ratio is 1.5, and must be a number between 0 and 1"),
        ({"protect": (7,)}, "Block 7 cannot be protected"),
        ({"within": (0, 1)}, "--within 0, 1: only the criterion random"),
    ],
)
def test_refusals(tiny: Model, task: Task, arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(RunError, match=sentence):
        layercliff.prune(tiny, task, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"race": 1.5}, "--race is 1.5, and must be a number between 0 and 1"),
        ({"splits": 0}, "--splits is 0, and must be a whole number from 1"),
        ({"race": 0.05, "criterion": "tail"}, "tail does not score them anew"),
        ({"splits": 3, "criterion": "random"}, "repeated over --draws"),
        (
            {"protect": (0, 1, 2, 3), "remove": 1, "criterion": "magnitude+"},
            "leaves the first 4 and last 2 blocks alone",
        ),
        ({"text": "nowhere.txt", "criterion": "loss"}, "There is no text file nowhere.txt"),
    ],
)
def test_more_refusals(tiny: Model, task: Task, arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(LayercliffError, match=sentence):
        layercliff.prune(tiny, task, **arguments)  # type: ignore[arg-type]


def test_watched_tasks_are_measured_and_take_no_part(tiny: Model, task: Task, tmp_path: Path) -> None:
    other = Task("others", task.questions[:20], "s", "l", "letter")
    alone = layercliff.prune(tiny, task, remove=2)
    found = layercliff.prune(tiny, task, remove=2, watch=[other], out=tmp_path / "run")
    assert found.steps == alone.steps
    assert len(found.watched) == 3
    traced = layercliff.trace(tiny, other).trace
    np.testing.assert_allclose(found.watched[0].scores, traced.scores, rtol=1e-4, atol=1e-5)
    path = json.loads((tmp_path / "run" / "prune" / "margin" / "path.json").read_text())
    assert path["steps"][2]["watched"]["others"]["n_questions"] == 20
    again = layercliff.prune(tiny, task, remove=2, watch=[other], out=tmp_path / "run")
    np.testing.assert_array_equal(again.watched[2].scores, found.watched[2].scores)
    with pytest.raises(TaskError, match="takes part in the choice"):
        layercliff.prune(tiny, task, remove=1, watch=[task])


def test_splits_repeat_the_path_on_other_halves(tiny: Model, task: Task, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    found = layercliff.prune(
        tiny, task, remove=2, splits=3, out=tmp_path / "run", report=lambda *what: told.append(what)
    )
    assert [told[1:] for told in told if told[0] == "removing blocks"] == [(n, 6) for n in (0, 1, 2, 2, 3, 4, 4, 5, 6)]
    assert found.steps == layercliff.prune(tiny, task, remove=2).steps
    stability = found.stability
    assert stability is not None
    assert stability.loss.shape == (3, 3)
    assert stability.gone[2].sum() == pytest.approx(2)
    assert "Over 3 draws of the halves" in str(words.stability(found))
    again = layercliff.prune(tiny, task, remove=2, splits=3, out=tmp_path / "run")
    assert again.others == found.others
    assert len({split.accuracy for split in (*found.others,)}) > 1  # other halves, other accuracies


@pytest.mark.parametrize("form", ["first_token", "cloze"])
def test_repetitions_are_what_their_models_do_at_all_depths(tiny: Model, task: Task, form: Format) -> None:
    """Only their last depth is read."""
    others = layercliff.prune(tiny, task, remove=3, criterion="random", draws=4, format=form).others
    assert [len(again.decided) for again in others] == [4] * 3
    for again in others:
        for kept, accuracy, decided in zip(again.kept, again.accuracy, again.decided, strict=True):
            network = families.network("llama")
            cut(network, kept)
            whole = layercliff.trace(network, task, tokenizer=families.tokenizer(), format=form).trace
            report = [half == "report" for half in whole.half_of]
            scores, mask, gold = whole.scores[:, report], whole.mask[report], whole.gold[report]
            right = decision.correctness(scores, mask, gold).mean(1)
            margin = decision.margin(decision.probabilities(scores, mask), mask, gold).mean(1)
            assert accuracy == pytest.approx(right[-1])
            assert decided == np.isfinite(transition_depths(margin, right, 1 / 3))


def test_random_is_a_band_of_draws_within_a_range(tiny: Model, task: Task) -> None:
    found = layercliff.prune(tiny, task, remove=2, criterion="random", draws=6, within=(3, 4))
    assert found.stability is not None
    assert found.stability.loss.shape == (6, 3)
    np.testing.assert_array_equal(found.stability.gone[2], [0, 0, 0, 1, 1])
    assert 0 < found.stability.gone[1][3] < 1  # either goes first in some draws


@pytest.mark.parametrize("criterion", ["accuracy", "option_nll"])
def test_the_papers_other_criteria(tiny: Model, task: Task, criterion: str) -> None:
    """The first step against cutting each block out."""
    found = layercliff.prune(tiny, task, remove=1, criterion=criterion)  # type: ignore[arg-type]
    select = [h == "select" for h in layercliff.trace(tiny, task).trace.half_of]
    for block, value in found.steps[1].scores.items():
        network = families.network("llama")
        cut(network, [b for b in range(5) if b != block])
        trace = layercliff.trace(network, task, tokenizer=families.tokenizer()).trace
        probabilities = decision.probabilities(trace.scores[-1:], trace.mask)[0, select]
        gold = trace.gold[select]
        if criterion == "accuracy":
            expected = decision.correctness(trace.scores[-1:], trace.mask, trace.gold)[0, select].mean()
        else:
            expected = np.log(probabilities[np.arange(len(gold)), gold]).mean()
        assert value == pytest.approx(expected, rel=1e-4)


def test_a_longer_path_is_kept_where_a_shorter_one_is_wanted(tiny: Model, task: Task, tmp_path: Path) -> None:
    long = layercliff.prune(tiny, task, remove=3, out=tmp_path / "run")
    said: list[str] = []
    short = layercliff.prune(tiny, task, remove=1, assess=False, out=tmp_path / "run", note=said.append)
    assert short.steps == long.steps
    assert any("already, and further" in sentence for sentence in said)
    layercliff.compare(tiny, task, ["margin", "tail"], out=tmp_path / "run")
    path = json.loads((tmp_path / "run" / "prune" / "margin" / "path.json").read_text())
    assert len(path["steps"]) == 4
    raced = layercliff.prune(tiny, task, remove=1, race=0.05, out=tmp_path / "run", resume=False)
    assert len(raced.steps) == 2
    with pytest.raises(
        RunError, match=r"holds another path by margin: remove is 1 there and 2 here"
    ):  # a race may choose otherwise
        layercliff.prune(tiny, task, remove=2, race=0.05, out=tmp_path / "run")


def test_figures_of_steps_speak_of_dense_blocks(tiny: Model, task: Task, tmp_path: Path) -> None:
    found = layercliff.prune(tiny, task, remove=2, criterion="head", out=tmp_path / "run")
    path = json.loads((tmp_path / "run" / "prune" / "head" / "path.json").read_text())
    report = path["steps"][2]["report"]["words"]
    assert found.steps[2].kept == (2, 3, 4)
    assert report["jump_block"] == 2 + found.main(2).jump.block
    depth = found.main(2).transition.depth
    assert report["transition_depth"] == (None if depth is None else depth + 2 if depth else 0)


def test_a_path_that_ends_early_says_so(tiny: Model, task: Task) -> None:
    said: list[str] = []
    found = layercliff.prune(tiny, task, remove=3, criterion="angular", protect=(2,), note=said.append)
    assert len(found.steps) == 3
    assert any("ends after 2 of 3 blocks" in sentence for sentence in said)


@pytest.mark.parametrize("criterion", ["loss", "angular", "block_influence", "taylor", "perplexity"])
def test_baselines_are_read_back_as_they_were(tiny: Model, task: Task, tmp_path: Path, criterion: str) -> None:
    found = layercliff.prune(tiny, task, remove=2, criterion=criterion, out=tmp_path / "run")  # type: ignore[arg-type]
    again = layercliff.prune(tiny, task, remove=2, criterion=criterion, out=tmp_path / "run")  # type: ignore[arg-type]
    assert again.steps == found.steps
    assert (tmp_path / "run" / "prune" / criterion / "path.json").exists()


def test_text_of_the_users_own(tiny: Model, task: Task, tmp_path: Path) -> None:
    passages = ("The capital of France is Paris.", "blue red green yellow one two three")
    (tmp_path / "own.txt").write_text("\n\n".join(passages))
    (_, step) = layercliff.prune(tiny, task, remove=1, criterion="loss", text=str(tmp_path / "own.txt")).steps
    assert set(step.scores) == set(range(families.N_LAYERS))
    for block, score in step.scores.items():
        less, losses = families.network("llama"), []
        cut(less, [b for b in range(families.N_LAYERS) if b != block])
        for passage in passages:
            ids = torch.tensor([tiny.tokenizer(passage).input_ids])
            with torch.inference_mode():
                losses.append(float(less(input_ids=ids, labels=ids).loss))
        assert score == pytest.approx(-np.mean(losses), rel=1e-4)


def test_one_question_has_no_other_half(tiny: Model, task: Task) -> None:
    with pytest.raises(TaskError, match="too few questions"):
        layercliff.prune(tiny, task, limit=1)


def test_from_the_command_line(tmp_path: Path, here: Here) -> None:
    model, words = families.saved(tmp_path / "model"), word_tasks.written(tmp_path)
    run = tmp_path / "run"
    pruned = here("prune", "-m", model, "-t", words, "-f", "letter", "--remove", 2, "-o", run)
    assert pruned.returncode == 0, pruned.stderr
    assert "does not vouch for generation" in " ".join(pruned.stdout.split())
    exported = here("export", "--run", run, "--step", 1, "--to", tmp_path / "small")
    assert exported.returncode == 0, exported.stderr
    assert "Reloaded in a fresh process" in exported.stdout
    wrong = here("prune", "-m", model, "-t", words, "--protect", "a", "-o", tmp_path / "x")
    assert wrong.returncode == 2
    assert "is not a block's number" in wrong.stderr


def test_a_fresh_path_is_computed_anew(tiny: Model, task: Task, tmp_path: Path) -> None:
    first = layercliff.prune(tiny, task, remove=1, out=tmp_path, assess=False)
    notes: list[str] = []
    again = layercliff.prune(tiny, task, remove=1, out=tmp_path, assess=False, resume=False, note=notes.append)
    assert not notes
    assert [step.kept for step in again.steps] == [step.kept for step in first.steps]
    layercliff.prune(tiny, task, remove=1, out=tmp_path, assess=False, note=notes.append)
    assert "holds this path already" in notes[0]


def test_blocks_that_have_to_stay_are_kept_and_told(task: Task, tmp_path: Path) -> None:
    """Before anything is scored, and on the page; where too few are left for what is asked, it is refused."""
    torch.manual_seed(0)
    config = DiffLlamaConfig(
        vocab_size=families.VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
    )  # fmt: skip
    model = Model.of(AutoModelForCausalLM.from_config(config).eval(), families.tokenizer(), "placed")
    notes: list[str] = []
    found = layercliff.prune(model, task, remove=1, assess=False, out=tmp_path, note=notes.append)
    assert (found.protected, found.steps[1].kept) == ((0, 1, 2), (0, 1, 2))
    assert notes[0].startswith(
        "Blocks 0, 1, 2 stay, since a checkpoint without them would be another model: the dense block 1"
    )
    assert "lambda_init" in (tmp_path / "report.html").read_text()
    with pytest.raises(RunError, match="2 blocks cannot be removed"):
        layercliff.prune(model, task, remove=2, assess=False)
