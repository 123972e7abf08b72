"""The recipes of docs/extending.md, followed in a copy of the package and used on a tiny model."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import families
import pytest
import word_tasks
from documented import ROOT

RECIPE = re.compile(r'^```(python|diff) title="(src/[^"]+)"\n(.*?)^```', re.DOTALL | re.MULTILINE)


def sections() -> dict[str, str]:
    """The recipes by their headings."""
    _, *parts = re.split(r"^## ", (ROOT / "docs" / "extending.md").read_text(), flags=re.MULTILINE)
    return {heading: text for heading, _, text in (part.partition("\n") for part in parts)}


def follow(text: str, copy: Path) -> list[str]:
    """Do what a recipe says in a copy of the repository. **Returns** the files that it touches."""
    touched = []
    for kind, name, block in RECIPE.findall(text):
        file = copy / name
        if kind == "python":
            assert not file.exists(), name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block)
        else:
            file.write_text(changed(file.read_text(), block))
        touched.append(name)
    return touched


def changed(content: str, block: str) -> str:
    """A file's content after a diff without line numbers, whose old lines stand in it once."""
    lines = [(line[:1], line[1:]) for line in block.splitlines(keepends=True)]
    old, new = ("".join(line for sign, line in lines if sign in ("", " ", one)) for one in "-+")
    assert content.count(old) == 1, old
    return content.replace(old, new)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package after all recipes, beside a tiny model and questions."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
    touched = {heading: follow(text, copy) for heading, text in sections().items()}
    assert {heading: len(set(files)) for heading, files in touched.items()} == {
        "Add a criterion": 2,  # two of them
        "Add a benchmark": 1,
        "Support a family of models": 1,
        "Add an analysis with a figure": 6,  # a folder, and the limits of its number
        "Let a claim use an analysis": 1,
        "Add an option": 1,
    }
    assert len({Path(name).parent for name in touched["Add an analysis with a figure"]}) == 2
    families.saved(copy / "model")
    word_tasks.written(copy)
    rows = [{"riddle": f"what is {i}?", "ends": list(word_tasks.WORDS[:3]), "right": i % 3} for i in range(16)]
    (copy / "riddles.jsonl").write_text("\n".join(str(row).replace("'", '"') for row in rows))
    return copy


SCRIPT = """
import torch
torch.set_num_threads(1)
from pathlib import Path
import layercliff
from layercliff.models import quirks
from layercliff.run.spec import RunOptions
from layercliff.studies.grid import Grid

assert str(Path.cwd()) in layercliff.__file__, layercliff.__file__
words = {"format": "first_token", "device": "cpu"}
paths = layercliff.compare("model", "words.jsonl", ["tail", "update_norm"], remove=2, out="criteria", **words)
first = paths[1].steps[1]
assert first.removed == (max(first.scores, key=first.scores.get),), first
raced = layercliff.prune(
    "model", "words.jsonl", criterion="gold_probability", race=0.05, remove=1, assess=False, out="criteria", **words
)
assert raced.steps[1].scores
ended = layercliff.prune("model", "riddles=riddles.jsonl", format="letter", criterion="head", remove=1, assess=False)
assert ended.steps[1].removed == (0,)
assert quirks.softcap(type("Config", (), {"own_softcapping": 30.0})()) == 30.0
found = layercliff.scale("model", "words.jsonl", factor=3.0, out="scale", **words)
again = layercliff.scale("model", "words.jsonl", factor=3.0, out="scale", **words)
assert (again.scores == found.scores).all() and again.settings.factor == 3.0
assert "The residual stream scaled" in Path("scale/report.html").read_text()
judged = layercliff.claims("model", "words.jsonl", out="claims", **words)
assert [one.id for one in judged.verdicts] == [f"C{number}" for number in range(1, 12)]
assert judged["C11"].parts and "0.5% (5% over 11 claims" in judged.family, judged
assert Path("claims/scale/summary.json").exists() and not Path("claims/noise").exists()
assert any("scale-margin" in file.name for file in layercliff.figures("scale", ("svg",)))
assert RunOptions(device_map="balanced").device_map == "balanced"
assert Grid.of({"models": ["m"], "tasks": ["t"], "device_map": "balanced"}).device_map == "balanced"
"""


def test_the_recipes_work(copy: Path) -> None:
    around = {**os.environ, "PYTHONPATH": str(copy / "src"), "LAYERCLIFF_CACHE": str(copy / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=copy, env=around, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    command = [sys.executable, "-c", "from layercliff.cli.entry import main; main()"]
    for arguments, wanted in (
        (["scale", "--help"], "--factor"),
        (["trace", "--help"], "--device-map"),
        (["criteria"], "update_norm"),
    ):
        shown = subprocess.run(
            [*command, *arguments],
            cwd=copy,
            env=around | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert wanted in shown.stdout, shown.stderr
