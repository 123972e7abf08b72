"""The documentation's commands: those of the guides run, in order, on a tiny model; those of all pages are understood by the command line."""

import json
import re
import shlex
from pathlib import Path

import families
import pytest
import typer
from commands import Here

from layercliff.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
GUIDES = [page for page in PAGES if page.parent.name == "how-to" or page.name == "index.md"]
MODELS = re.compile(r"\b(gemma-3-270m|smollm2-135m|path/to/model)\b")


def commands(page: Path) -> list[list[str]]:
    """The arguments of every layercliff command in a page's shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("layercliff ")]


def test_there_are_commands() -> None:
    assert all(commands(page) for page in GUIDES)
    assert len(GUIDES) > 4


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_is_understood(page: Path) -> None:
    group = typer.main.get_command(app)
    context = typer.Context(group)
    for name, *arguments in commands(page):
        command = group.get_command(context, name)
        assert command is not None, name
        command.make_context(name, list(arguments))


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
@pytest.mark.usefixtures("reloads_here")
def test_the_guides_commands_run(page: Path, tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for target in ("stand-in", "small"):
        families.saved(tmp_path / target, n_layers=7)
    rows = [{"question": f"which is {i}?", "options": ["blue", "red"], "answer": i % 2} for i in range(16)]
    (tmp_path / "questions.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    for command in commands(page):
        done = here(*stand_in(command))
        assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])


def stand_in(arguments: list[str]) -> list[str]:
    """A command about the tiny model and few questions."""
    wanted = [MODELS.sub("stand-in", argument) for argument in arguments]
    if {"-t", "--tasks"} & set(wanted):
        wanted += [] if "--format" in wanted or wanted[0] == "eval" else ["--format", "cloze"]
        wanted += [] if "--limit" in wanted else ["--limit", "16"]
    if wanted[0] == "export":
        wanted[-1] = wanted[-1].replace("small", "exported")
        wanted += [] if "--step" in wanted else ["--step", "2"]  # none is recommended of a random model
    return wanted


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
