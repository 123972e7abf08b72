"""The documentation's commands and Python run on a tiny model, page by page and in order; what they are is what the
command line understands."""

import json
import os
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import chromium
import documented
import families
import pytest
import study_rows
import typer
from chromium import Opener
from commands import Here
from documented import PAGES, ROOT

from layercliff.cli.app import app
from layercliff.run import stored_files
from layercliff.studies import result as studied
from layercliff.studies.grid import Grid

COMMANDED = [page for page in PAGES if documented.commands(page)]
QUICK = {
    "README",
    "benchmarks/README",
    "docs/claims",
    *(f"docs/how-to/{page}" for page in ("export", "own-model", "own-task")),
}
Run = Callable[[list[str]], None]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT).with_suffix(""))


def test_there_are_commands() -> None:
    assert {"README", "benchmarks/README", "docs/index", "docs/figures", "docs/results"} <= set(map(name, COMMANDED))


def test_make_runs_the_same_inside_make(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make test` names its own directory and hands down its options."""
    outside = documented.made("demo")
    monkeypatch.setenv("MAKELEVEL", "1")
    monkeypatch.setenv("MAKEFLAGS", "w -- RUN=elsewhere")
    assert documented.made("demo") == outside
    assert [command[:2] for command in outside] == [["layercliff", verb] for verb in ("trace", "prune", "export")]


@pytest.mark.parametrize("page", COMMANDED, ids=name)
def test_every_command_is_understood(page: Path) -> None:
    """As it is written, before a tiny model stands in."""
    group = typer.main.get_command(app)
    context = typer.Context(group)
    for program, *arguments in documented.commands(page):
        if program == "layercliff":
            command = group.get_command(context, arguments[0])
            assert command is not None, arguments
            command.make_context(arguments[0], arguments[1:])


@pytest.fixture
def run(tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in a directory with the scripts, the tiny model, questions and a study of it."""
    monkeypatch.chdir(tmp_path)
    for model in ("stand-in", "narrow"):
        families.saved(tmp_path / model, n_layers=7)
    for script in [*ROOT.glob("docs/results/*.py"), *ROOT.glob("benchmarks/*.py")]:
        copy = tmp_path / script.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(documented.in_words(script.read_text()))
    monkeypatch.syspath_prepend(tmp_path / "benchmarks")
    rows = [{"question": f"which is {i}?", "options": ["blue", "red"], "answer": i % 2} for i in range(16)]
    (tmp_path / "questions.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    tasks = [{"task": "capitals", "format": "cloze"}]
    study = {"models": ["stand-in"], "tasks": tasks, "criteria": ["tail"], "limit": 16}
    (tmp_path / "study.yaml").write_text(json.dumps(study))

    def run(command: list[str]) -> None:
        match command:
            case ["layercliff", *arguments]:
                done = here(*arguments)
                assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
            case (
                ["python", "benchmarks/evaluate.py", *_] | ["python", "-m", "layercliff.harness", *_] | ["lm_eval", *_]
            ):
                pass  # by `test_the_harness_runs`, in its environment
            case ["vllm", *_] | ["python", "convert_hf_to_gguf.py", *_]:
                pass  # by `tests/test_serving.py`
            case ["python", script, *arguments]:
                monkeypatch.setattr("sys.argv", [script, *arguments])
                runpy.run_path(script, run_name="__main__")
            case ["make", "demo"]:
                for made in documented.made("demo"):
                    run(documented.stand_in(made))
            case ["make", target]:
                assert documented.made(target)
            case ["pip", "install", "-r", file]:
                assert (ROOT / file).is_file()
            case ["pip", "install", what]:
                extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
                assert what == "." or what[2:-1] in extras
            case ["pytest", *arguments]:
                assert all((ROOT / argument).is_file() for argument in arguments if argument.startswith("tests/"))
            case ["python3.11", "-m", "venv", _]:
                pass
            case _:
                pytest.fail(f"nothing runs {command}")

    return run


def by_length() -> Iterator[Any]:
    """Pages; those whose commands other pages or tests run are slow."""
    for page in COMMANDED:
        yield pytest.param(page, id=name(page), marks=() if name(page) in QUICK else pytest.mark.slow)


@pytest.mark.parametrize("page", list(by_length()))
@pytest.mark.usefixtures("reloads_here")
def test_the_commands_run(page: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [documented.stand_in(command) for command in documented.commands(page)]
    if name(page) == "docs/evaluate":  # which begins with what `make demo` made
        run(["make", "demo"])
    for command in map(list, dict.fromkeys(map(tuple, asked))):  # several models are one here
        if "runs/packaged" in command and {"forecast", "docs/results/forecast_table.py"} & set(command):
            collapse(tmp_path / "runs" / "packaged", monkeypatch)
        run(command)
    for block in documented.blocks(page, "python"):
        exec(documented.in_words(block), {})
    if name(page) in ("README", "docs/study"):
        open_all(tmp_path)


def collapse(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a study of models that collapse in the place of one of a random model, which does not."""
    rows = study_rows.table(0.02)
    content = json.loads((study / studied.RESULT).read_text())
    del content["checksum"]
    content["files"]["training.parquet"] = stored_files.write_table(study / "training.parquet", studied.training(rows))
    stored_files.write_json(study / studied.RESULT, content)
    found = studied.gathered(Grid.read(study / studied.FILE), rows)
    monkeypatch.setattr(studied, "read", lambda _: found)


def open_all(directory: Path) -> None:
    """Open the pages that were made, where there is a browser: with all their figures, silently."""
    written = list(directory.rglob("report.html"))
    assert written
    if chromium.executable() is not None:
        with chromium.launched() as browser:
            opener = Opener(browser)
            for report in written:
                opener(report.parent)
            opener.close()


HARNESS = os.environ.get("LAYERCLIFF_LM_EVAL_PYTHON", "")
TASK = """
task: stand_in
dataset_path: json
dataset_kwargs: {data_files: {test: questions.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: options
doc_to_target: answer
"""


@pytest.mark.slow
@pytest.mark.skipif(not HARNESS, reason="LAYERCLIFF_LM_EVAL_PYTHON names no Python with lm_eval")
@pytest.mark.usefixtures("reloads_here")
def test_the_harness_runs(run: Run, tmp_path: Path) -> None:
    """Commands of lm-evaluation-harness, and of what runs it, on all pages; a small task stands in for those that it
    would download."""
    (tmp_path / "stand_in.yaml").write_text(TASK)
    run(["make", "demo"])
    ran = set()
    for command in [command for page in COMMANDED for command in documented.commands(page)]:
        asked = documented.stand_in(command)
        match asked:
            case ["layercliff", "export", *_] if "runs/demo" in asked:
                run(asked)
                continue
            case ["lm_eval", *arguments] | ["python", "-m", "layercliff.harness", *arguments]:
                documented.setting(arguments, tasks="stand_in", include_path=".")
                module = "lm_eval" if asked[0] == "lm_eval" else "layercliff.harness"
                asked = [HARNESS, "-m", module, *arguments]
            case ["python", "benchmarks/evaluate.py", *arguments]:
                documented.setting(arguments, **{"harness-python": HARNESS})
                asked = [sys.executable, "benchmarks/evaluate.py", *arguments]
            case _:
                continue
        offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
        done = subprocess.run(asked, env={**os.environ, **offline}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (asked, done.stdout[-2000:], done.stderr[-2000:])
        ran.add(asked[1] if asked[1] != "-m" else asked[2])
    assert ran == {"lm_eval", "layercliff.harness", "benchmarks/evaluate.py"}


@pytest.mark.packaged
@pytest.mark.slow
def test_the_tutorial_runs(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    notebook = nbformat.read(ROOT / "docs" / "tutorial.ipynb", as_version=4)
    client.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(out.get("text", "") for cell in notebook.cells for out in cell.get("outputs", ()))
    assert "T = 13 of 18" in printed
    assert "largest_logit_difference=0.0" in printed
