"""The scripts behind the documented results, on a tiny model and few questions; their tables are written beside copies
of them."""

import json
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path

import families
import polars as pl
import pytest

import layercliff

SCRIPTS = Path(__file__).parents[1] / "docs" / "results"
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a script, and gives what it prints; the model `stand-in` lies in the working directory."""
    monkeypatch.chdir(tmp_path)
    families.saved(tmp_path / "stand-in")
    for script in SCRIPTS.glob("*.py"):
        shutil.copy(script, tmp_path)

    def run(script: str, *arguments: str) -> str:
        monkeypatch.setattr("sys.argv", [script, *arguments])
        runpy.run_path(str(tmp_path / f"{script}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_normalisations(run: Run, tmp_path: Path) -> None:
    printed = run("normalisations", "--out", "runs", "--models", "stand-in", "--task", "capitals", "--limit", "12")
    table = pl.read_csv(tmp_path / "normalisations.csv")
    assert table["decisions by"].to_list() == ["sum", "char"]
    assert table["margin"].n_unique() == 2
    assert printed.count("stand-in") == 2


@pytest.mark.slow
def test_verdicts_and_figures(run: Run, tmp_path: Path) -> None:
    asked = ("--out", "runs", "--model", "stand-in", "--format", "cloze", "--limit", "16")
    printed = run("verdicts", *asked, "--tasks", "capitals")
    assert "| stand-in | capitals | cloze | 16 | - of 5 |" + 10 * " ? |" in printed
    run("verdicts", *asked, "--tasks", "cities,capitals")
    table = pl.read_csv(tmp_path / "verdicts.csv")
    assert sorted(table["task"].to_list()) == ["capitals"] * 10 + ["cities"] * 10
    assert table["claim"].to_list() == 2 * [f"C{number}" for number in range(1, 11)]
    printed = run("figures", "runs/stand-in-capitals-cloze-16", "--to", "images")
    assert (tmp_path / "images" / "trace-margin.png").read_bytes().startswith(b"\x89PNG")
    assert len(printed.splitlines()) == len(list((tmp_path / "images").iterdir())) > 4


def test_accuracies(run: Run, tmp_path: Path) -> None:
    for task in ("capitals", "cities", "capitals"):
        run("accuracies", "--out", "runs", "--model", "stand-in", "--tasks", task, "--limit", "8")
    table = pl.read_csv(tmp_path / "accuracies.csv")
    assert table.select("task", "n").rows() == [("capitals", 8), ("cities", 8)]
    found = layercliff.evaluate("stand-in", "capitals", limit=8).scores["capitals"]["acc"]
    assert table["acc"][0] == round(found.value, 4)
    assert "| task | model |" in run("accuracies", "--table")


def test_transition_depths(run: Run, tmp_path: Path) -> None:
    script = tmp_path / "transition_depths.py"
    text = script.read_text()
    models = text[text.index("MODELS = ") : text.index("CELLS = ")]
    script.write_text(text.replace(models, 'MODELS = ("stand-in",)\n').replace("range(4)", "range(2)"))
    run("transition_depths", "--out", "runs")
    table = pl.read_csv(tmp_path / "transition_depths.csv")
    assert table.select("task", "seed").rows() == [("capitals", 0), ("capitals", 1), ("cities", 0)]


def test_studies(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    grid = {"models": ["stand-in"], "tasks": ["capitals"], "formats": ["cloze"], "criteria": ["tail"], "limit": 16}
    layercliff.study(grid, out="study")
    assert "| stand-in | capitals | cloze | 16, 8 |" in run("study_table", "study")
    with pytest.raises(SystemExit):
        run("forecast_table", "study", "--to", "table.csv")
    assert "a rule takes at least" in capsys.readouterr().err


def test_search(run: Run, tmp_path: Path) -> None:
    path = {"seconds": [1.0, 1.0], "passes": [3, 2], "removed": [1, 2]}
    found = {
        "model": "m",
        "task": "t",
        "questions": 4,
        "steps": 2,
        "n_layers": 6,
        "tokens_shared": 5,
        "tokens_loop": 9,
        "exact": path,
        "race": path,
        "loop": path | {"seconds": [3.0, 1.0]},
        "peak_memory_bytes": 2**30,
    }
    (tmp_path / "found.json").write_text(json.dumps(found))
    assert "| m | t, 4 | 2 of 6 | 5 / 9 | 5 / 5 / 5 | 3.00 | 2.00 | 2.00 | yes |" in run("search_table", "found.json")


def test_similarity_of_a_cell_needs_a_new_directory(run: Run, tmp_path: Path) -> None:
    asked = ("--model", "stand-in", "--task", "capitals", "--limit", "24")
    assert run("similarity_again", *asked).strip().endswith(".")  # a model that has learnt nothing does not collapse
    with pytest.raises(SystemExit):
        run("similarity_again", *asked, "--out", str(tmp_path))
