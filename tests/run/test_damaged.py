"""A run directory of every verb, each of whose files is damaged in turn: one sentence, or a right result, and the page
shows the rest."""

import random
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import damaged_files
import numpy as np
import polars as pl
import pytest
import word_tasks

import layercliff
from layercliff.analyses.ablate import result as ablated
from layercliff.analyses.controls import result as controlled
from layercliff.analyses.forecast import result as forecasts
from layercliff.analyses.lens import result as lensed
from layercliff.analyses.noise import result as noised
from layercliff.analyses.patch import result as patched
from layercliff.analyses.recover import result as recovered
from layercliff.analyses.similarity import result as similar
from layercliff.analyses.trace import result as traced  # fmt: skip
from layercliff.errors import LayercliffError
from layercliff.evaluation import result as evaluated
from layercliff.models.model import Model
from layercliff.paper_claims import result as claimed
from layercliff.pruning import result as pruned
from layercliff.report import page
from layercliff.run.directory import RunDirectory

READERS: dict[str, Callable[[RunDirectory], object]] = {
    "trace": traced.read,
    "margin": partial(pruned.read, criterion="margin"),
    "come": partial(pruned.read, criterion="come"),
    "noise": noised.read,
    "ablate": ablated.read,
    "similarity": similar.read,
    "patch": patched.read,
    "controls": controlled.read,
    "lens": lensed.read,
    "recover": recovered.read,
    "forecast": forecasts.read,
    "claims": claimed.read,
    "evaluate": evaluated.read,
}


@pytest.fixture(scope="module")
def whole(tiny: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run directories of all verbs that need no training, of a model in memory: ``run``, and ``eval`` of an
    evaluation."""
    out = tmp_path_factory.mktemp("whole")
    task = word_tasks.task(16, "first_token")
    study = word_tasks.forecast_study(out / "study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYERCLIFF_CACHE", str(out / "cache"))
        patch.setattr(page, "write", lambda run: None)
        run = out / "run"
        layercliff.trace(tiny, task, out=run)
        layercliff.prune(tiny, task, remove=2, splits=2, watch=(), assess=False, out=run)
        layercliff.prune(tiny, task, remove=2, criterion="come", assess=False, out=run)
        layercliff.noise(tiny, task, draws=1, eps=(0.1,), out=run)
        layercliff.ablate(tiny, task, out=run)
        layercliff.similarity(tiny, task, steps=(1, 2), out=run)
        layercliff.patch(tiny, task, steps=(2,), out=run)
        layercliff.controls(tiny, task, which=("shuffled-gold", "plain-text"), out=run)
        layercliff.forecast(tiny, task, study=study, out=run)
        layercliff.evaluate(tiny, task, out=out / "eval")
    return out


def sentence(error: LayercliffError) -> bool:
    """Whether a refusal is one sentence of one line, with a cure."""
    return bool(re.fullmatch(r"\S.*[a-z)`*\w]\.", str(error))) and len(str(error)) < 700


def readings(folder: Path) -> Iterator[tuple[str, object]]:
    """What every reader says of the directories, a result or a refusal; any other error is raised."""
    for name, read in READERS.items():
        run = RunDirectory(folder / ("eval" if name == "evaluate" else "run"))
        try:
            yield name, read(run)
        except LayercliffError as error:
            assert sentence(error), str(error)
            yield name, error


def same(one: object, other: object) -> bool:
    """Whether two results say the same."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))
    if isinstance(one, pl.DataFrame) and isinstance(other, pl.DataFrame):
        return one.equals(other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if hasattr(one, "__dataclass_fields__"):
        names = one.__dataclass_fields__
        return type(one) is type(other) and all(same(getattr(one, n), getattr(other, n)) for n in names)
    return one == other


def damaged(whole: Path, folder: Path, rng: random.Random, *, old: bool) -> tuple[Path, str]:
    """A copy of the run directories with one file damaged, which carry no checksums if they are `old`."""
    shutil.copytree(whole, folder)
    if old:
        damaged_files.as_before_checksums(folder)
    file = rng.choice([f for place in ("run", "eval") for f in damaged_files.stored(folder / place)])
    return file, damaged_files.damage(file, rng)


def check_changed_bytes(whole: Path, folder: Path, seed: int, right: dict[str, object]) -> int:
    """Bytes of a file changed: what a reader still says is what it said. **Returns** how many readers refused."""
    rng, refused = random.Random(seed), 0
    shutil.copytree(whole, folder)
    files = [f for place in ("run", "eval") for f in damaged_files.stored(folder / place) if f.suffix != ".yaml"]
    file = rng.choice(files)
    file.write_bytes(damaged_files.bytes_of(file.read_bytes(), rng))
    for name, found in readings(folder):
        refused += isinstance(found, LayercliffError)
        assert isinstance(found, LayercliffError) or same(found, right[name]), f"{seed}: {file}"
    shutil.rmtree(folder)
    return refused


def check_old(whole: Path, folder: Path, seed: int, *, drawn: bool) -> int:
    """Something wrong in a file without checksums: a refusal or a result, never another error, and the page names what
    it leaves out."""
    file, kind = damaged(whole, folder, random.Random(seed), old=True)
    refused = [str(found) for name, found in readings(folder) if isinstance(found, LayercliffError)]
    if drawn and file.name != "run.yaml":
        run = RunDirectory(folder / "run")
        page.write(run)
        text = (folder / "run" / "report.html").read_text()
        assert text.count("Left out: ") == len([s for s in refused if "/eval/" not in s]), f"{seed}: {file} {kind}"
    shutil.rmtree(folder)
    return len(refused)


def test_changed_bytes_are_found_or_change_nothing(whole: Path, tmp_path: Path) -> None:
    right = dict(readings(whole))
    refused = [check_changed_bytes(whole, tmp_path / "copy", seed, right) for seed in range(12)]
    assert sum(refused) > 4


def test_whatever_an_old_file_holds_is_one_sentence_or_read(whole: Path, tmp_path: Path) -> None:
    refused = [check_old(whole, tmp_path / "copy", seed, drawn=seed == 3) for seed in range(16)]
    assert sum(refused) > 4


@pytest.mark.slow
def test_many_damaged_files(whole: Path, tmp_path: Path) -> None:
    right = dict(readings(whole))
    for seed in range(1000, 1600):
        check_changed_bytes(whole, tmp_path / "copy", seed, right)
    for seed in range(1000, 2000):
        check_old(whole, tmp_path / "copy", seed, drawn=True)
