"""Every verb, interrupted and given again: its tables, arrays and numbers are those of a run that nobody interrupted."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import word_tasks
from polars.testing import assert_frame_equal
from safetensors.numpy import load_file

import layercliff
from layercliff.models.model import Model
from layercliff.report import page
from layercliff.store import Journal

CHANGING = {
    "seconds", "cost", "peak_memory_bytes", "selection_seconds", "training_seconds", "report_seconds", "total_evaluation_time_seconds", "date",
}  # fmt: skip
"""What is another number each time."""

VERBS: dict[str, Callable[..., Any]] = {
    "trace": layercliff.trace,
    "prune": lambda *a, **o: layercliff.prune(*a, score="accuracy", remove=2, splits=2, assess=False, **o),
    "evaluate": layercliff.evaluate,
    "controls": layercliff.controls,
    "lens": lambda *a, **o: layercliff.lens(*a, lenses=("probe",), **o),
    "noise": lambda *a, **o: layercliff.noise(*a, eps=(0.1,), draws=1, **o),
    "ablate": layercliff.ablate,
    "similarity": lambda *a, **o: layercliff.similarity(*a, steps=(1, 2), **o),
    "patch": lambda *a, **o: layercliff.patch(*a, steps=(1, 2), **o),
}


def contents(folder: Path) -> dict[str, Any]:
    """Every table, array and number that lies in a directory, but for what changes each time."""
    found: dict[str, Any] = {}
    for file in sorted(folder.rglob("*")):
        name = str(file.relative_to(folder))
        if file.suffix == ".parquet":
            table = pl.read_parquet(file.read_bytes())
            found[name] = table.drop(set(table.columns) & CHANGING)
        elif file.suffix == ".safetensors":
            found[name] = load_file(file)
        elif file.suffix == ".json":
            found[name] = still(json.loads(file.read_text()))
        elif file.suffix == ".sqlite":
            found[name] = "left behind"
    return found


def still(content: Any) -> Any:
    """JSON without what changes each time."""
    if isinstance(content, dict):
        return {name: still(value) for name, value in content.items() if name not in CHANGING}
    return [still(value) for value in content] if isinstance(content, list) else content


def assert_same(whole: Path, resumed: Path) -> None:
    """Both directories hold the same files with the same contents."""
    left, right = contents(whole), contents(resumed)
    assert left.keys() == right.keys()
    for name, one in left.items():
        other = right[name]
        if isinstance(one, pl.DataFrame):
            assert_frame_equal(one, other, check_exact=True)
        elif name.endswith(".safetensors"):
            assert one.keys() == other.keys(), name
            for array in one:
                np.testing.assert_array_equal(one[array], other[array], err_msg=f"{name}: {array}")
        else:
            assert one == other, name


@pytest.fixture(scope="module")
def begun(tiny: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with a short path, for the analyses that look at one."""
    out = tmp_path_factory.mktemp("begun") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYERCLIFF_CACHE", str(out.parent / "cache"))
        patch.setattr(page, "write", lambda run: None)
        layercliff.prune(tiny, word_tasks.task(24, "first_token"), remove=2, assess=False, out=out)
    return out


@pytest.mark.parametrize("verb", [pytest.param(verb, marks=[pytest.mark.slow] * (verb == "lens")) for verb in VERBS])
def test_an_interrupted_verb_ends_with_the_same_results(
    verb: str, tiny: Model, begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted after every entry of its journal in turn, each of which is read back as it was put."""
    put, left = Journal.put, [-1]

    def read_back(self: Journal, key: str, arrays: dict[str, np.ndarray]) -> None:
        put(self, key, arrays)
        found = self.get(key)
        assert found is not None
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "put", read_back)
    monkeypatch.setattr(page, "write", lambda run: None)
    for name in ("whole", "resumed") if verb in ("similarity", "patch") else ():
        shutil.copytree(begun, tmp_path / name)

    def run(name: str) -> None:
        VERBS[verb](tiny, word_tasks.task(24, "first_token"), batch_tokens=200, out=tmp_path / name)

    run("whole")
    entries = -1 - left[0]
    assert entries > 1
    for after in (1, max(1, entries // 2 - 1)):
        left[0] = after
        with pytest.raises(KeyboardInterrupt):
            run("resumed")
    run("resumed")
    assert_same(tmp_path / "whole", tmp_path / "resumed")
