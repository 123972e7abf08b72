"""Public functions and their specs."""

import inspect
from pathlib import Path

import numpy as np
import pytest

import layercliff
from layercliff.analyses.noise.spec import NoiseSpec
from layercliff.analyses.similarity.result import SimilarSettings
from layercliff.analyses.trace.spec import TraceSpec
from layercliff.errors import RunError
from layercliff.models.model import Model
from layercliff.pruning.spec import PruneSpec
from layercliff.report import page
from layercliff.run import stored_files
from layercliff.run.directory import RunDirectory
from layercliff.studies.grid import Grid
from layercliff.studies.result import StudyCell
from layercliff.tasks.question import Task


def test_a_spec_and_its_keywords_are_one(tiny: Model, colours: Task) -> None:
    by_spec = layercliff.trace(TraceSpec(tiny, colours, seed=3))
    by_keywords = layercliff.trace(tiny, task=colours, seed=3)
    np.testing.assert_array_equal(by_spec.trace.scores, by_keywords.trace.scores)
    assert by_spec.subject == by_keywords.subject
    parameters = inspect.signature(layercliff.trace).parameters
    assert parameters["seed"].default == 0
    assert list(parameters)[:2] == ["model", "task"]
    with pytest.raises(TypeError, match="shot"):
        layercliff.trace(tiny, colours, shot=1)  # type: ignore[call-overload]


def test_an_option_that_is_gone_is_named(tiny: Model, colours: Task) -> None:
    with pytest.warns(DeprecationWarning, match="normalisation is gone: decisions are by the summed"):
        layercliff.trace(tiny, colours, normalisation="char")
    with pytest.warns(DeprecationWarning, match="normalisation is gone"):
        Grid.of({"models": ["m"], "tasks": ["t"], "normalisation": "char"})


def test_former_names_hold_with_a_warning(tiny: Model, colours: Task, tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="score is called criterion now"):
        path = layercliff.prune(tiny, colours, score="head", remove=1, assess=False)  # type: ignore[call-overload]
    assert path.steps[1].removed == (0,)
    with pytest.warns(DeprecationWarning, match=r"Pruned\.score is called criterion_name now"):
        assert path.score == "head"  # type: ignore[attr-defined]
    for former, today in {"Probed": "InterventionResult", "Foretelling": "Forecast", "foretell": "forecast"}.items():
        with pytest.warns(DeprecationWarning, match=f"{former} is called layercliff.{today} now"):
            assert getattr(layercliff, former) is getattr(layercliff, today)
    with pytest.warns(DeprecationWarning, match="score is called"), pytest.raises(RunError, match="no run directory"):
        layercliff.recipe(tmp_path, score="laco")  # type: ignore[call-arg]


def test_stored_names_of_before_are_read() -> None:
    stored = {"score": "tail", "steps": {"0": [0, 1]}, "tokens": 4}
    settings = stored_files.shaped(stored, SimilarSettings)
    assert settings.raw() == {"criterion": "tail", "steps": {"0": [0, 1]}, "tokens": 4}
    with pytest.warns(DeprecationWarning, match=r"StepSettings\.score is called criterion now"):
        assert settings.score == "tail"  # type: ignore[attr-defined]
    cell = stored_files.shaped({"directory": "d", "schedule": "tail", "reason": None}, StudyCell)
    assert cell.criterion == "tail"
    for former, today, value in (("schedules", "criteria", ("tail",)), ("foretell", "forecast", False)):
        with pytest.warns(DeprecationWarning, match=f"{former} is called {today} now"):
            assert getattr(Grid.of({"models": ["m"], "tasks": ["t"], former: value}), today) == value


def test_unknown_words_are_refused() -> None:
    spec = TraceSpec("model", "task")
    object.__setattr__(spec, "format", "lettre")  # the types of tests are checked before
    with pytest.raises(RunError, match=r"The option --format is 'lettre': did you mean letter"):
        spec.__post_init__()
    with pytest.raises(RunError, match="The option --draws is 0"):
        NoiseSpec("model", "task", draws=0)


def test_a_spec_becomes_that_of_another_function() -> None:
    spec = PruneSpec("model", "task", shots=2, remove=3, out="run").into(TraceSpec, seed=1)
    assert spec == TraceSpec("model", "task", shots=2, seed=1, out="run")


def test_the_outermost_call_writes_the_page(
    tiny: Model, colours: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    monkeypatch.setattr(page, "write", lambda run: written.append(run.path))
    layercliff.compare(tiny, colours, ["tail", "head"], remove=1, out=tmp_path / "run")
    assert written == [tmp_path / "run"]
    monkeypatch.undo()
    layercliff.trace(tiny, colours, out=tmp_path / "run")
    assert page.is_current(RunDirectory(tmp_path / "run"))
