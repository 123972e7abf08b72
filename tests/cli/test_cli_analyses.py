"""The commands of the analyses, from the terminal."""

import json
import subprocess
import sys
from pathlib import Path

import families
import pytest
from commands import Here


@pytest.fixture(scope="module")
def about(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    directory = tmp_path_factory.mktemp("files")
    families.saved(directory / "model")
    rows = [{"question": f"{i} or {i * i}?", "options": ["blue", "red"], "answer": i % 2} for i in range(16)]
    (directory / "task.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return ("-m", directory / "model", "-t", directory / "task.jsonl", "-f", "letter", "-o", directory / "run")


def test_every_analysis_in_one_directory(about: tuple[object, ...], here: Here) -> None:
    missing = here("patch", *about)
    assert missing.returncode == 2
    assert "is no run directory" in missing.stderr
    for verb, more in (
        ("prune", ("--remove", 2, "--no-assess")),
        ("controls", ("--control", "all")),
        ("noise", ("--draws", 1, "--eps", "0.1,0.3")),
        ("ablate", ()),
        ("lens", ("--lens", "tuned,probe", "--text", "prose", "--tokens", 300, "--steps", 1)),
        ("similarity", ("--step", 1, "--step", 2)),
        ("patch", ("--step", 2)),
    ):
        done = here(verb, *about, *more)
        assert done.returncode == 0, done.stderr
        assert "report.html" in done.stdout
    page = (Path(str(about[-1])) / "report.html").read_text()
    for verb in ("controls", "lens", "noise", "ablate", "similarity", "patch"):
        assert f'id="analysis-{verb}"' in page
    again = here("noise", *about, "--draws", 1, "--eps", "0.1,0.3")
    assert "not computed again" in " ".join(again.stderr.split())
    assert again.stdout.startswith("Noise of size 0.1 costs most at depth")


@pytest.mark.slow
def test_figures_of_an_analysis(about: tuple[object, ...], tmp_path: Path, here: Here) -> None:
    subject = (*about[:-1], tmp_path / "run")
    for command in (("prune", "--remove", 2, "--no-assess"), ("similarity", "--step", 1, "--step", 2)):
        assert here(command[0], *subject, *command[1:]).returncode == 0
    figures = here("figures", tmp_path / "run", "--format", "svg")
    assert figures.returncode == 0
    assert len([line for line in figures.stdout.split() if "/similarity-" in line]) == 10


def test_too_few_questions_train_nothing(about: tuple[object, ...], tmp_path: Path, here: Here) -> None:
    judged = here("claims", *about[:-1], tmp_path / "run", "--recover")
    assert judged.returncode == 0, judged.stderr
    assert "C7" in judged.stdout
    assert "not enough data" in " ".join(judged.stdout.split())


@pytest.mark.parametrize(
    ("size", "sentence"), [("much", "--eps is 'much', and must be numbers"), ("-1", "--eps holds -1.0, and each")]
)
def test_sizes_that_are_none(about: tuple[object, ...], here: Here, size: str, sentence: str) -> None:
    done = here("noise", *about, "--eps", size)
    assert done.returncode == 2
    assert sentence in done.stderr


TWICE = """
import sys
from layercliff.cli import entry as cli

for verb, option, name in (("controls", "--control", "shuffled-golds"), ("lens", "--lens", "tunned")):
    sys.argv = ["layercliff", verb, *about, option, name]
    try:
        cli.main()
    except SystemExit as end:
        print(end.code)
"""


def test_names_that_are_none(about: tuple[object, ...]) -> None:
    """In a fresh process: in this one types are checked before."""
    code = f"about = {[str(argument) for argument in about]}\n{TWICE}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["2", "2"]
    for sentence in ("--control is 'shuffled-golds'", "--lens is 'tunned': did you mean tuned?"):
        assert sentence in done.stderr
    assert "Traceback" not in done.stderr
