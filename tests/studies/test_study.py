"""Studies of tiny models: cells that fail, a study that was killed, what is forecast of them."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import families
import numpy as np
import polars as pl
import pytest
import word_tasks
from commands import Here
from study_rows import row, table

import layercliff
from layercliff.analyses.trace import result as traced
from layercliff.errors import RunError
from layercliff.models.lazy import LazyModel
from layercliff.pruning.repeats import Stability
from layercliff.readout.trace import TracedTask
from layercliff.report import page
from layercliff.run.directory import RunDirectory
from layercliff.studies import result as studied
from layercliff.studies import run as study_verb
from layercliff.studies.grid import Grid
from layercliff.studies.result import Row

SMALL = {"criteria": ["margin", "random"], "limit": 24, "remove": 2, "draws": 2, "device": "cpu"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("study")
    families.saved(directory / "llama")
    families.saved(directory / "gemma3", "gemma3")
    word_tasks.written(directory)
    return directory


def content(files: Path, *models: str) -> dict[str, object]:
    words = str(files / "words.jsonl")
    return SMALL | {
        "models": [str(files / model) for model in models],
        "tasks": [{"task": words, "format": "letter"}, {"task": words.replace("words", "none"), "format": "letter"}],
    }


def whole(directory: Path) -> dict[str, object]:
    found = json.loads((directory / "study.json").read_text())
    del found["cost"], found["checksum"]
    return dict(found)


def test_cells_are_runs_and_those_that_fail_stop_nothing(files: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    found = layercliff.study(content(files, "llama"), out=tmp_path / "s", note=notes.append)
    assert [(row.criterion, row.finished) for row in found.rows] == [
        ("margin", True), ("random", True), ("margin", False), ("random", False),
    ]  # fmt: skip
    assert all("There is no" in str(row.reason) or "none.jsonl" in str(row.reason) for row in found.failed)
    assert len([note for note in notes if "none.jsonl" in note]) == 2
    run = tmp_path / "s" / found.rows[0].directory
    traced = layercliff.trace(
        str(files / "llama"), str(files / "words.jsonl"), format="letter", limit=24, device="cpu", out=run
    )
    path = layercliff.prune(
        str(files / "llama"),
        str(files / "words.jsonl"),
        format="letter",
        limit=24,
        remove=2,
        assess=False,
        device="cpu",
        out=run,
    )
    row = found.rows[0]
    assert (row.transition, row.n_layers, row.removed_at_most) == (traced.transition_depth, 5, 2)
    assert row.defined == path.collapse.defined
    table = pl.read_parquet(tmp_path / "s" / "cells.parquet")
    assert table["reason"].null_count() == 2
    assert table["feature_gates"].null_count() == 2
    page = (tmp_path / "s" / "report.html").read_text()
    assert "none.jsonl" in page
    assert f'href="{row.directory}/report.html"' in page
    assert layercliff.figures(tmp_path / "s", ("svg",)) == []  # random models decide nothing: no figure has a point


def small(files: Path) -> dict[str, object]:
    """A study of two cells."""
    return content(files, "gemma3") | {"tasks": [{"task": str(files / "words.jsonl"), "format": "letter"}]}


def test_a_finished_study_is_read_and_an_interrupted_one_goes_on(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = small(files) | {"criteria": ["margin", "tail"], "forecast": False}
    prune, ends = study_verb.prune, iter([False, True])
    layercliff.study(grid, out=tmp_path / "whole")

    def interrupted(*arguments: object) -> object:
        if next(ends):
            raise KeyboardInterrupt
        return prune(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(study_verb, "prune", interrupted)
        with pytest.raises(KeyboardInterrupt):
            layercliff.study(grid, out=tmp_path / "gone-on")
    assert not (tmp_path / "gone-on" / "study.json").exists()
    layercliff.study(grid, out=tmp_path / "gone-on")
    assert whole(tmp_path / "gone-on") == whole(tmp_path / "whole")
    monkeypatch.setattr(LazyModel, "given", lambda self, finished: self._model if finished else pytest.fail("loaded"))
    monkeypatch.setattr(page, "write", lambda run: pytest.fail("drawn again"))
    again = layercliff.study(grid, out=tmp_path / "whole")
    assert whole(tmp_path / "whole") == whole(tmp_path / "gone-on")
    assert studied.read(tmp_path / "whole").rows == again.rows


@pytest.mark.slow
def test_a_killed_study_goes_on(files: Path, tmp_path: Path) -> None:
    grid = small(files)
    layercliff.study(grid, out=tmp_path / "whole")
    (tmp_path / "s.yaml").write_text(json.dumps(grid))
    command = [sys.executable, "-m", "layercliff", "study", str(tmp_path / "s.yaml"), "-o", str(tmp_path / "killed")]
    alike = os.environ | {"OMP_NUM_THREADS": "1"}  # as many threads as here: other numbers give other last digits
    going = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=alike)
    while going.poll() is None and not list((tmp_path / "killed").glob("cells/*/*/prune/margin/path.json")):
        time.sleep(0.01)
    going.send_signal(signal.SIGKILL)
    going.wait()
    assert not (tmp_path / "killed" / "study.json").exists()
    layercliff.study(tmp_path / "s.yaml", out=tmp_path / "killed")
    assert whole(tmp_path / "killed") == whole(tmp_path / "whole")


def test_a_model_that_breaks_stops_no_other(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On loading by a cut-off file, on reading by what nobody foresaw, and for want of memory."""
    families.saved(tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    grid = content(files, "gemma3", "llama")
    grid["models"] = [str(tmp_path / "cut"), *grid["models"]]  # type: ignore[misc]
    tasks = [{"task": str(files / "words.jsonl"), "format": "letter"}]
    whole_trace, ends = study_verb.trace, iter([KeyError("layers"), MemoryError("9 TiB")])

    def trace(model: object, *args: object, **options: object) -> object:
        if "gemma3" in str(getattr(model, "name", model)):
            raise next(ends)
        return whole_trace(model, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(study_verb, "trace", trace)
    found = layercliff.study(
        grid | {"tasks": tasks, "criteria": ["tail", "head"], "forecast": False}, out=tmp_path / "s"
    )
    assert [row.finished for row in found.rows] == [False] * 4 + [True] * 2
    reasons = [str(row.reason) for row in found.failed]
    assert reasons[0] == reasons[1]
    assert "fault of layercliff (KeyError: 'layers')" in reasons[2]
    assert "not enough memory (MemoryError: 9 TiB)" in reasons[3]
    assert "fault of layercliff" in (tmp_path / "s" / "report.html").read_text()


def test_the_command_says_what_failed_and_fails(files: Path, tmp_path: Path, here: Here) -> None:
    (tmp_path / "s.yaml").write_text(json.dumps(content(files, "llama") | {"criteria": ["tail"], "forecast": False}))
    command = ("study", tmp_path / "s.yaml", "-o", tmp_path / "s")
    done = here(*command)
    assert done.returncode == 2
    assert "1 of 2 cells failed" in done.stderr
    assert "none.jsonl" in done.stdout
    planned = here(*command, "--plan")
    assert planned.returncode == 2
    assert "1 of 2 runs cannot be planned" in planned.stderr
    assert "block passes" in planned.stdout


def test_a_directory_of_something_else_is_refused(files: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="holds files that are not a study"):
        layercliff.study(content(files, "llama"), out=tmp_path)
    with pytest.raises(RunError, match=r"it holds no study\.yaml"):
        studied.read(tmp_path)


def test_a_known_rule_is_found_and_nothing_is_dropped_in_silence() -> None:
    odd = [
        row("m7", "undecided", 40, None, 5),
        row("m7", "censored", 40, 10, None),
        row("m7", "chance", 40, None, None, defined=False),
        Row("m7", "failed", "own", "margin", 0, "cells/m7/failed", reason="Why."),
    ]
    found = studied.gathered(Grid.of({"models": ["m"], "tasks": ["t"]}), table(0.02) + odd)
    (panel,) = found.panels
    assert len(panel.points) == 26
    assert (panel.association.points, panel.association.complete) == (26, 24)
    assert panel.association.pearson is not None
    assert panel.association.pearson.high < -0.9
    assert panel.within.falls is True
    from layercliff.studies import words as study_words

    assert panel.within.models == tuple(f"m{i}" for i in range(6))
    assert panel.within.without_model == ("m7",)
    assert [task for task, _ in panel.within.without_task] == ["undecided", "censored", "chance", "failed"]
    assert "out whole, with the models that have no T or no k* there: undecided (m0, " in " ".join(
        study_words.association(panel)
    )
    said = list(study_words.left_out(found.rows))
    assert len(said) == 4
    for word, sentence in zip(("k* 5", "censored > 39", "not shown to lie above chance", "Why."), said, strict=True):
        assert word in sentence
    by_model, by_task = found.judgements
    assert (by_model.n, by_model.groups, by_task.groups) == (25, 7, 5)
    assert by_model.error < 0.05
    assert {a.name: a.beaten for a in by_model.against}["a fixed ratio"] is True
    alone = next(a for a in by_model.against if a.name == "the transition depth alone")
    assert (alone.beaten, alone.difference.point) == (None, 0)  # all other features are the same everywhere
    assert "28 cells: 24 with both T and k*, 2 undecided, 1 censored, 1 without" in study_words.summary(found)


def test_few_models_are_said() -> None:
    from layercliff.studies import words as study_words

    five = studied.gathered(Grid.of({"models": ["m"], "tasks": ["t"]}), [r for r in table(0.02) if r.model != "m0"])
    fixed = five.judgements[0].against[0]
    assert fixed.difference.high < 0
    assert fixed.beaten is None
    assert "undecided with fewer than 6 models" in " ".join(study_words.association(five.panels[0]))
    rows = [r for r in table(0.1) if r.model in ("m0", "m1")]
    found = studied.gathered(Grid.of({"models": ["m"], "tasks": ["t"]}), rows)
    assert any("2 models are too few for an interval" in s for s in study_words.association(found.panels[0]))
    assert all(a.beaten is None for j in found.judgements for a in j.against)
    none = studied.gathered(Grid.of({"models": ["m"], "tasks": ["t"]}), rows[:3])
    assert none.judgements == ()
    assert "No rule is judged: 3 cells of 1 models" in str(none.unjudged)


def test_seeds_are_one_point_at_their_median() -> None:
    rows = [row("m", "t", 10, t, k) for t, k in ((4, 3), (None, None), (6, 5))]
    (panel,) = studied.gathered(Grid.of({"models": ["m"], "tasks": ["t"]}), rows).panels
    (point,) = panel.points
    assert (point.transition, point.ratio, point.censored, point.seeds) == (0.6, 0.5, False, 3)


@pytest.mark.parametrize(
    ("seeds", "transition", "ratio", "censored"),
    [
        ([(4, 3), (6, 6)], 0.5, 0.45, False),
        ([(4, 3), (None, None)], math.inf, 0.6, True),  # half-way from 3 to 9, at least
        ([(None, 8), (6, 3), (4, 5), (8, 4)], 0.7, 0.45, False),
        ([(None, None), (None, 3), (4, 5), (6, None)], math.inf, 0.7, True),
        ([(4, 3), (5, 5), (None, None), (6, 4)], 0.55, 0.45, False),
    ],
)
def test_even_seeds_are_one_point_between_the_middle_two(
    seeds: list[tuple[int | None, int | None]], transition: float, ratio: float, censored: bool
) -> None:
    rows = [row("m", "t", 10, t, k) for t, k in seeds]
    (panel,) = studied.gathered(Grid.of({"models": ["m"], "tasks": ["t"]}), rows).panels
    (point,) = panel.points
    assert (point.transition, point.ratio) == pytest.approx((transition, ratio))
    assert (point.censored, point.seeds) == (censored, len(seeds))


@pytest.mark.parametrize(
    ("draws", "collapse", "beyond"),
    [
        ([4, 3], "3.5 [3, 4]", None),
        ([3, None], "censored > 6", 6),  # half-way from 3 to 9, at least
        ([3, 8, 5, 6], "5.5 [3, 8]", None),
        ([2, None, 6, 3], "4.5 [2, ∞]", None),
        ([None, 2, None, 6], "censored > 7.5", 7.5),
        ([None, 2, 6], "6 [2, ∞]", None),
        ([None, None], "censored > 9", 9),
    ],
)
def test_k_of_random_is_the_median_of_its_draws(
    tmp_path: Path, draws: list[int | None], collapse: str, beyond: float | None
) -> None:
    """Its own page says the same."""
    from layercliff.studies import words as study_words

    grid = Grid.of({"models": ["m"], "tasks": ["t"], "criteria": ["random"]})
    (cell,) = grid.cells()
    run = RunDirectory(tmp_path / cell.directory)
    trace = {"format": "letter", "n_questions": 9, "chance": 0.25, "accuracy": 0.9, "decision_margin": 0.5}
    trace |= {f"transition_{name}": 4 for name in ("depth", "depth_low", "depth_high")}
    run.write_json(traced.SUMMARY, trace | {"transition_undecided_share": 0.0})
    steps = [{"step": k, "kept": list(range(10 - k)), "removed": [], "scores": {}} for k in range(10)]
    found = {"defined": True, "step": draws[0], "low": 1, "high": 9}
    path = {"n_layers": 10, "n_report": 5, "steps": steps, "collapse": found, "stability": {"collapse_steps": draws}}
    path |= {"model": "m", "revision": "r", "protected": [], "n_select": 4, "race": None, "watched_tasks": {}}
    path["traced_tasks"] = {"t": TracedTask("t", "letter", "s", "test", "l").as_dict()}
    run.write_json("prune/random/path.json", path)
    told = studied.row(tmp_path, cell)
    assert study_words.collapse(told) == collapse
    assert told.collapse_beyond == beyond
    assert (told.collapse or math.inf) == Stability(np.zeros((1, 1)), np.zeros((1, 1)), tuple(draws)).collapse_range[1]
    (panel,) = studied.gathered(grid, [told]).panels
    (point,) = panel.points
    assert (point.ratio, point.censored) == ((told.collapse or beyond) / 10, beyond is not None)
    assert studied.cells_table([row("m", "t", 10, 4, 3), told])["collapse"].to_list() == [3, told.collapse]
