"""Every verb, interrupted and given again: its tables, arrays and numbers are those of a run that nobody
interrupted."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import word_tasks
from same_results import assert_same

import layercliff
from layercliff.models.model import Model
from layercliff.report import page
from layercliff.run.directory import Journal

VERBS: dict[str, Callable[..., Any]] = {
    "trace": layercliff.trace,
    "prune": lambda *a, **o: layercliff.prune(*a, criterion="accuracy", remove=2, splits=2, assess=False, **o),
    "evaluate": layercliff.evaluate,
    "controls": layercliff.controls,
    "lens": lambda *a, **o: layercliff.lens(*a, lenses=("probe",), **o),
    "noise": lambda *a, **o: layercliff.noise(*a, eps=(0.1,), draws=1, **o),
    "ablate": layercliff.ablate,
    "similarity": lambda *a, **o: layercliff.similarity(*a, steps=(1, 2), **o),
    "patch": lambda *a, **o: layercliff.patch(*a, steps=(1, 2), **o),
}


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
