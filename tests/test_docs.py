"""The documentation's commands and Python: those of the README, the guides and the results run, in order, on a tiny model; commands of all pages are understood by the command line."""

import json
import re
import shlex
from pathlib import Path

import chromium
import families
import pytest
import typer
from chromium import Opener
from commands import Here

from layercliff.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
GUIDES = [
    page
    for page in PAGES
    if page.parent.name == "how-to"
    or page.stem in ("README", "index", "claims", "evaluate", "recover", "study", "results")
]
MODELS = re.compile(r"\b(gemma-3-270m|smollm2-135m|qwen2.5-coder-1.5b|path/to/model)\b")
BENCHMARKS = {
    "arc_easy": "capitals",
    "arc_challenge": "cities",
    "hellaswag": "cities",
}  # what needs no download stands in


def blocks(page: Path, language: str) -> list[str]:
    """What stands in a page's blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    """The arguments of every layercliff command in a page's shell blocks."""
    lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
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
    families.saved(tmp_path / "stand-in", n_layers=7)
    rows = [{"question": f"which is {i}?", "options": ["blue", "red"], "answer": i % 2} for i in range(16)]
    (tmp_path / "questions.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    study = {
        "models": ["stand-in"],
        "tasks": [{"task": "capitals", "format": "cloze"}],
        "schedules": ["tail"],
        "limit": 16,
    }
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    asked = [stand_in(command) for command in commands(page)]
    if any("runs/demo" in argument for command in asked for argument in command):  # what `make demo` makes
        asked.insert(0, stand_in(shlex.split("prune -m gemma-3-270m -t cities --no-assess -o runs/demo")))
    for command in asked:
        done = here(*command)
        assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
    for block in blocks(page, "python"):
        exec(MODELS.sub("stand-in", block), {})
    if page.stem in ("README", "study"):
        open_all(tmp_path)


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


def stand_in(arguments: list[str]) -> list[str]:
    """A command about the tiny model and few questions, which trains for two updates."""
    name, *wanted = [MODELS.sub("stand-in", argument) for argument in arguments]
    wanted = [re.sub(r"docs/studies/\w+\.yaml", "study.yaml", argument) for argument in wanted]
    wanted = [",".join(BENCHMARKS.get(part, part) for part in argument.split(",")) for argument in wanted]
    more = {}
    if {"-t", "--tasks"} & set(wanted):
        more = {"--limit": "16"} | ({} if name == "eval" or "letter" in wanted else {"--format": "cloze"})
    if "--splits" in wanted:
        more |= {"--splits": "2"}
    if name == "recover":
        more |= {"--step": "2", "--updates": "2"}
    if "--study" in wanted:  # one of models that collapse, as random ones do not: the table that ships stands in
        where = wanted.index("--study")
        del wanted[where : where + 2]
    if name == "export":  # no step is recommended of a random model
        more |= {"--step": "2"}
    for option, value in more.items():
        if option in wanted:
            wanted[wanted.index(option) + 1] = value
        else:
            wanted += [option, value]
    return [name, *wanted]


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
