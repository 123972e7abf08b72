"""Recipes of a run directory, from Python and from the command line."""

import json
from pathlib import Path

import families
import pytest
import yaml
from commands import Here
from transformers import PreTrainedModel

import layercliff
from layercliff.errors import ModelError, RunError


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A run directory with a path of two steps; the model is of the family asked for."""
    model = families.saved(tmp_path / "model", getattr(request, "param", "llama"))
    rows = [{"question": f"which is {i}?", "options": ["blue", "red"], "answer": i % 2} for i in range(12)]
    (tmp_path / "words.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    layercliff.prune(
        model, str(tmp_path / "words.jsonl"), remove=2, format="letter", device="cpu", out=tmp_path / "run"
    )  # fmt: skip
    return tmp_path / "run"


def kept(run: Path, step: int) -> list[int]:
    path = json.loads((run / "prune" / "margin" / "path.json").read_text())
    return list(path["steps"][step]["kept"])


def test_of_a_step(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PreTrainedModel, "from_pretrained", None)  # no weights are loaded
    found = layercliff.recipe(run, 2)
    assert list(found.kept) == kept(run, 2)
    content = yaml.safe_load(str(found.mergekit.text))
    assert content["dtype"] == "float32"
    (model,) = {part["sources"][0]["model"] for part in content["slices"]}
    assert model == str(run.parent / "model")
    with pytest.raises(RunError, match="has steps 0-2: there is no step 9"):
        layercliff.recipe(run, 9)


def test_of_a_path_that_began_from_a_step(run: Path, tmp_path: Path) -> None:
    """Indices are those of the model at the beginning of all."""
    layercliff.prune(
        f"{run}@1", str(tmp_path / "words.jsonl"), remove=1, format="letter", device="cpu", out=tmp_path / "second"
    )
    first, second = kept(run, 1), kept(tmp_path / "second", 1)
    assert list(layercliff.recipe(tmp_path / "second", 1).kept) == [first[index] for index in second]


def test_of_another_model(run: Path) -> None:
    families.network("llama", seed=1).save_pretrained(run.parent / "model")
    with pytest.raises(ModelError, match="is another one than the path"):
        layercliff.recipe(run, 1)


def test_from_the_command_line(run: Path, tmp_path: Path, here: Here) -> None:
    printed = here("export", "--run", run, "--step", 1, "--recipe")
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout == str(layercliff.recipe(run, 1))
    nothing = here("export", "--run", run, "--step", 1)
    assert nothing.returncode == 2
    assert "give --to for a checkpoint, --recipe for other tools, or both" in nothing.stderr
    both = here("export", "--run", run, "--step", 1, "--recipe", "--to", tmp_path / "small", "--device", "cpu")
    assert both.returncode == 0, both.stderr
    assert "Reloaded in a fresh process" in both.stdout
    card = (tmp_path / "small" / "README.md").read_text()
    assert "## The same model by other tools" in card
    assert str(layercliff.recipe(run, 1).mergekit.text).strip() in card
    assert "llama-quantize --prune-layers" in card


@pytest.mark.usefixtures("reloads_here")
@pytest.mark.parametrize("run", ["smollm3"], indirect=True)
def test_reasons_stand_in_the_card(run: Path, tmp_path: Path) -> None:
    layercliff.export(run, tmp_path / "small", step=2, device="cpu", recipes=True)
    assert str(layercliff.recipe(run, 2).llama_cpp).partition("\n")[0] in (tmp_path / "small" / "README.md").read_text()
