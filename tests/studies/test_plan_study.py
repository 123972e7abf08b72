"""A study is counted before it is run, and the study files that come with layercliff run on stand-ins."""

from pathlib import Path

import families
import pytest
import word_tasks
from transformers import LlamaConfig, PretrainedConfig, Qwen3Config

import layercliff
from layercliff.studies.grid import Asking, Grid

STUDIES = Path(__file__).parent.parent.parent / "docs" / "studies"
PAPER: dict[str, PretrainedConfig] = {
    "meta-llama/Meta-Llama-3-8B": LlamaConfig(
        vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=8,
    ),
    "meta-llama/Llama-2-7b-hf": LlamaConfig(),
    "Qwen/Qwen3-4B": Qwen3Config(
        hidden_size=2560, intermediate_size=9728, num_hidden_layers=36, num_attention_heads=32, num_key_value_heads=8,
        tie_word_embeddings=True,
    ),
}  # fmt: skip


def test_counts_are_those_of_plans_and_more_for_more_criteria(tmp_path: Path) -> None:
    model, words = families.saved(tmp_path / "model"), word_tasks.written(tmp_path)
    grid = {"models": [model], "tasks": [words], "formats": ["letter"], "remove": 3, "forecast": False, "device": "cpu"}
    one = layercliff.plan(model, words, format="letter", remove=3, device="cpu")
    found = layercliff.plan_study(grid)
    assert found.block_passes == one.block_passes + one.path.selection_block_passes + one.path.report_block_passes
    assert found.runs[0].seconds == pytest.approx(
        found.runs[0].plan.seconds * (1 + one.path.multiplications / one.multiplications)
    )  # type: ignore[union-attr]
    tail = layercliff.plan_study(grid | {"criteria": ["tail"]})
    assert tail.block_passes == one.block_passes + one.path.report_block_passes
    come = layercliff.plan_study(grid | {"criteria": ["come"]})  # runs what is left at every step
    assert come.block_passes == tail.block_passes + one.path.report_block_passes
    random = layercliff.plan_study(grid | {"criteria": ["margin", "random"], "draws": 4, "forecast": True})
    measured = one.path.report_block_passes
    assert random.block_passes == pytest.approx(found.block_passes + 4 * measured + 2.5 * one.block_passes, abs=1)
    raced = layercliff.plan_study(grid | {"criteria": ["margin", "random"], "draws": 4, "forecast": True, "race": 0.1})
    first = layercliff.plan(model, words, format="letter", remove=1, device="cpu").path
    assert raced.block_passes == random.block_passes + first.selection_block_passes
    assert len(random.runs) == 1
    to_the_end = layercliff.plan_study({name: value for name, value in grid.items() if name != "remove"})
    assert to_the_end.runs[0].plan is not None
    assert to_the_end.runs[0].plan.path.removed == 4


def test_what_cannot_be_planned_is_listed(tmp_path: Path) -> None:
    found = layercliff.plan_study(
        {
            "models": [families.saved(tmp_path / "model"), str(tmp_path / "none")],
            "tasks": [word_tasks.written(tmp_path)],
            "device": "cpu",
        }
    )
    assert [run.plan is None for run in found.runs] == [False, True]
    assert "There is no model at" in str(found.runs[1].reason)
    unplanned = ("laco", "perplexity", "taylor+", "loss")
    named = [*unplanned, "magnitude", "come", "margin"]
    assert layercliff.plan_study({"models": ["a"], "tasks": ["t"], "criteria": named}).unplanned == unplanned


@pytest.mark.parametrize("file", sorted(STUDIES.glob("paper*.yaml")), ids=lambda file: file.stem)
def test_the_papers_models_can_be_planned_from_their_shapes(file: Path, tmp_path: Path) -> None:
    """No weight of theirs is at hand: their configurations stand in, and questions of our own."""
    grid = Grid.read(file)
    for model in grid.models:
        PAPER[model].architectures = None
        PAPER[model].save_pretrained(tmp_path / model)
    here = {
        "models": tuple(str(tmp_path / m) for m in grid.models),
        "tasks": (Asking(task=word_tasks.written(tmp_path)),),
        "device": "cpu",
    }
    found = layercliff.plan_study(grid.model_copy(update=here))
    assert [run.plan.n_layers for run in found.runs if run.plan][:: len(grid.formats)] == [32, 32, 36]
    assert found.unplanned == ()


@pytest.mark.parametrize("name", ["paper-first-look", pytest.param("paper", marks=pytest.mark.slow)])
def test_the_papers_studies_run_on_a_tiny_model(name: str, tmp_path: Path) -> None:
    grid = Grid.read(STUDIES / f"{name}.yaml")
    here = {
        "models": (families.saved(tmp_path / "model"),),
        "tasks": (Asking(task=word_tasks.written(tmp_path)),),
        "device": "cpu",
        "dtype": "float32",
        "limit": 20,
        "draws": 2,
    }
    found = layercliff.study(grid.model_copy(update=here), out=tmp_path / "s")
    assert found.failed == ()
    expected = [(panel, criterion) for panel in grid.formats for criterion in grid.criteria]
    assert [(row.panel, row.criterion) for row in found.rows] == expected
