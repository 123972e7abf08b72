"""What analyses have in common: what rows share changes none of them, and steps with merged blocks are run with these,
or refused."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from cka import cka

import layercliff
from layercliff.errors import RunError
from layercliff.models.merged_weights import blended
from layercliff.models.model import Model
from layercliff.run.resolved import ResolvedRun
from layercliff.run.spec import RunSpec
from layercliff.tasks.question import Question, Task

WORDS = ["blue red", "blue", "green two", "green three blue", "one", "two"]


@pytest.fixture(scope="module")
def task() -> Task:
    """Options that begin alike, or that are one token and so have the same prompt."""
    questions = tuple(
        Question(f"q{i}", f"which of these is {i}?", tuple(WORDS[(i + j) % 6] for j in range(3)), i % 3, f"g{i}")
        for i in range(20)
    )
    return Task("words", questions, "made up", "none", "cloze")


@pytest.fixture(scope="module")
def run(tiny: Model, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("probed") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYERCLIFF_CACHE", str(directory.parent / "cache"))
        for criterion in ("tail", "laco"):
            layercliff.prune(
                tiny, task, shots=1, criterion=criterion, remove=2, assess=False, out=directory / criterion
            )
    return directory


@pytest.mark.parametrize(
    ("verb", "more"),
    [
        ("noise", {"draws": 1}),
        ("noise", {"draws": 1, "positions": "decision"}),
        ("ablate", {}),
        ("patch", {"steps": (1, 2), "criterion": "tail"}),
        ("patch", {"steps": (2,), "criterion": "tail", "positions": "decision"}),
    ],
)
def test_what_rows_share_changes_nothing(
    tiny: Model, task: Task, run: Path, monkeypatch: pytest.MonkeyPatch, verb: str, more: dict[str, Any]
) -> None:
    found = []
    out = run / "tail" if verb == "patch" else None
    for sharing in ("nothing", "branches"):
        monkeypatch.setitem(vars(tiny.anatomy), "shares", sharing)
        probed = getattr(layercliff, verb)(tiny, task, shots=1, batch_tokens=200, out=out, resume=False, **more)
        found.append((probed.trace.scores, probed.scores))
        assert probed.cost["batches"] > 1
    for whole, shared in zip(*found, strict=True):
        np.testing.assert_allclose(shared, whole, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("verb", "settings", "others"),
    [
        ("noise", {"eps": (0.1,), "draws": 1}, {"eps": (0.1, 0.5), "draws": 1}),
        pytest.param(
            "similarity",
            {"steps": (1,), "criterion": "tail"},
            {"steps": (1, 2), "criterion": "tail"},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_full_disk_leaves_no_analysis_of_other_settings(
    tiny: Model,
    task: Task,
    run: Path,
    full_disk: Callable[[str], AbstractContextManager[None]],
    verb: str,
    settings: dict[str, Any],
    others: dict[str, Any],
) -> None:
    """Where the files of an analysis cannot be written to the end, the settings of the one before must not be read with
    them."""
    analysis = partial(getattr(layercliff, verb), tiny, task, shots=1, out=run / "tail")
    analysis(**settings)
    with full_disk("summary.json"):
        analysis(**others)
    notes: list[str] = []
    analysis(**settings, note=notes.append)
    assert not any("not computed again" in note for note in notes)


@pytest.mark.parametrize(
    ("verb", "settings", "others", "more"),
    [
        ("noise", {"eps": (0.1,), "draws": 2}, {"eps": (0.1,), "draws": 1}, {"eps": (0.1, 0.5), "draws": 3}),
        pytest.param(
            "noise", {"eps": (0.1, 0.5), "draws": 1}, {"eps": (0.1,), "draws": 1}, None, marks=pytest.mark.slow
        ),
        (
            "patch",
            {"steps": (1,), "criterion": "tail"},
            {"steps": (2,), "criterion": "tail"},
            {"steps": (1, 2), "criterion": "tail"},
        ),
        pytest.param(
            "similarity",
            {"steps": (1,), "criterion": "tail"},
            {"steps": (1,), "criterion": "tail", "tokens": 2},
            None,
            marks=pytest.mark.slow,
        ),
        ("lens", {"lenses": ("probe",)}, {"lenses": ("tuned",), "text": "prose", "tokens": 99, "steps": 0}, None),
    ],
)
def test_nothing_is_replaced_without_a_word(
    tiny: Model,
    task: Task,
    run: Path,
    tmp_path: Path,
    verb: str,
    settings: dict[str, Any],
    others: dict[str, Any],
    more: dict[str, Any] | None,
) -> None:
    """An analysis that lacks something of the finished one is refused; more of the same takes its place, and so does
    another that is told to."""
    shutil.copytree(
        run / "tail", out := tmp_path / "run", ignore=shutil.ignore_patterns("noise", "similarity", "patch")
    )
    analysis = partial(getattr(layercliff, verb), tiny, task, shots=1, out=out)
    first = analysis(**settings)
    with pytest.raises(RunError, match="holds results that these would replace"):
        analysis(**others)
    assert analysis(**settings).settings == first.settings
    if more is not None:
        assert analysis(**more).settings != first.settings
    assert analysis(**others, resume=False).settings != first.settings


def test_a_text_that_changed_under_its_name_is_another(tiny: Model, task: Task, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    analysis = partial(
        layercliff.lens, tiny, task, lenses=("tuned",), text=str(text), steps=0, tokens=99, out=tmp_path / "run"
    )
    text.write_text("\n\n".join(f"The capital of France is Paris, number {i}." for i in range(20)))
    first = analysis()
    text.write_text("\n\n".join(f"The capital of Chile is Santiago, number {i}." for i in range(20)))
    with pytest.raises(RunError, match=f"digest is {first.settings.digest} there"):
        analysis()


def test_claims_replace_nothing_of_another_path(tiny: Model, task: Task, run: Path, tmp_path: Path) -> None:
    shutil.copytree(
        run / "tail", out := tmp_path / "run", ignore=shutil.ignore_patterns("noise", "similarity", "patch")
    )
    layercliff.patch(tiny, task, shots=1, steps=(1,), criterion="tail", out=out)
    with pytest.raises(RunError, match=r"patch holds what patch found on the path by tail.*: remove it"):
        layercliff.claims(tiny, task, shots=1, out=out)


def test_what_is_of_a_path_that_is_gone_is_replaced(tiny: Model, task: Task, run: Path, tmp_path: Path) -> None:
    shutil.copytree(
        run / "tail", out := tmp_path / "run", ignore=shutil.ignore_patterns("noise", "similarity", "patch")
    )
    layercliff.patch(tiny, task, shots=1, steps=(1,), criterion="tail", out=out)
    layercliff.prune(tiny, task, shots=1, criterion="tail", protect=(4,), remove=2, assess=False, out=out, resume=False)
    found = layercliff.patch(tiny, task, shots=1, steps=(2,), criterion="tail", out=out)
    assert list(found.settings.steps) == ["2"]


def test_similarity_runs_merged_blocks(tiny: Model, task: Task, run: Path) -> None:
    layercliff.similarity(tiny, task, shots=1, steps=(2,), criterion="laco", out=run / "laco")
    step = layercliff.prune(tiny, task, shots=1, criterion="laco", remove=2, assess=False, out=run / "laco").steps[2]
    assert step.blends
    (part,) = ResolvedRun.of(RunSpec(tiny, task, shots=1)).ask(tiny)
    rows = [row for row in part.rows if row.option == 0]

    def decision(kept: tuple[int, ...]) -> np.ndarray:
        found = []
        with torch.inference_mode():
            for row in rows:
                *_, (_, state) = tiny.anatomy.enter(torch.tensor([row.tokens])).depths(kept)
                found.append(state[0, len(row.tokens) - len(row.targets)].numpy())
        return np.stack(found)

    dense = decision(tuple(range(5)))
    with blended(tiny.network, step.blends):
        merged = decision(step.kept)
    table = pl.read_parquet(run / "laco" / "similarity" / "similarity.parquet").filter(
        (pl.col("step") == 2)
        & (pl.col("what") == "decision")
        & (pl.col("dense") == 5)
        & (pl.col("pruned") == 3)
        & ~pl.col("standardised")
    )
    assert table["cka"].item() == pytest.approx(cka(dense, merged), abs=1e-4)
    assert abs(cka(dense, merged) - cka(dense, decision(step.kept))) > 1e-3


def test_patching_refuses_merged_blocks(tiny: Model, task: Task, run: Path) -> None:
    with pytest.raises(RunError, match="merged blocks"):
        layercliff.patch(tiny, task, shots=1, steps=(2,), criterion="laco", out=run / "laco")
