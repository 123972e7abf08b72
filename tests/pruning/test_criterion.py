"""The registry of criteria: what it holds, and names that it does not hold."""

from pathlib import Path

import families
import pytest
import word_tasks
from commands import Here

import layercliff
from layercliff.errors import RunError
from layercliff.models.model import Model
from layercliff.pruning import criteria, criterion
from layercliff.tasks.question import Task

WRONG = "There is no criterion 'magin': did you mean margin"


def test_every_file_registers_a_criterion() -> None:
    made_in = {found.make.__module__ for found in criterion.registered().values() if hasattr(found.make, "__module__")}
    made_in |= {
        found.make.keywords["ranking"].__module__  # type: ignore[attr-defined]
        for found in criterion.registered().values()
        if hasattr(found.make, "keywords")
    }
    files = {f"{criteria.__name__}.{file.stem}" for file in Path(criteria.__path__[0]).glob("[!_]*.py")}
    assert files <= made_in


def test_registered_criteria_make_sense() -> None:
    found = criterion.registered()
    assert next(iter(found)) == criterion.DEFAULT
    assert [c.rank for c in found.values()] == sorted(c.rank for c in found.values())
    for name, c in found.items():
        assert c.name == name
        assert c.iterative or not c.raced
        assert c.plannable or c.reads == "text" or name == "laco"
        assert c.citation == "baseline" or any(character.isdigit() for character in c.citation)


def test_names_that_are_none() -> None:
    for name in ("", "Margin", "a b", "../x", "+"):
        with pytest.raises(ValueError, match="names no criterion"):
            criterion.criterion(name, kind="iterative", about="", citation="")


def test_wrong_names(tiny: Model, colours: Task, tmp_path: Path, here: Here) -> None:
    with pytest.raises(RunError, match=WRONG):
        layercliff.prune(tiny, colours, criterion="magin")
    with pytest.raises(RunError, match=WRONG):
        layercliff.compare(tiny, colours, ["tail", "magin"], out=tmp_path / "run")
    study = {"models": ["m"], "tasks": ["t"], "criteria": ["tail", "magin"]}
    with pytest.raises(RunError, match=f"The study: {WRONG}"):
        layercliff.plan_study(study)
    with pytest.raises(RunError, match=f"The study: {WRONG}"):
        layercliff.study(study, out=tmp_path / "study")
    (tmp_path / "study.yaml").write_text("models: [m]\ntasks: [t]\ncriteria: [magin]\n")
    common = ("-m", families.saved(tmp_path / "model"), "-t", word_tasks.written(tmp_path), "-o", tmp_path / "run")
    for arguments in (
        ("prune", *common, "--criterion", "magin"),
        ("compare", *common, "--criteria", "tail,magin"),
        ("study", tmp_path / "study.yaml"),
    ):
        done = here(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert WRONG in " ".join(done.stderr.split())
        assert done.stderr.count("layercliff: ") == 1
    assert not (tmp_path / "run").exists()


def test_a_criterion_without_a_path(tiny: Model, colours: Task, tmp_path: Path) -> None:
    layercliff.prune(tiny, colours, criterion="tail", remove=1, assess=False, out=tmp_path / "run")
    with pytest.raises(RunError, match="holds no path by magin: it has tail"):
        layercliff.export(tmp_path / "run", tmp_path / "to", step=1, criterion="magin")
