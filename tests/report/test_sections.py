"""Every analysis is found by its folder, and follows the convention that the page and the command line rely on."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import made
import pytest

import layercliff
from layercliff.analyses.registry import RegisteredAnalysis, analyses
from layercliff.report import chart, page, sections
from layercliff.run.directory import RunDirectory

ALL = list(analyses().values())
COST = {"seconds": 1.0, "peak_memory_bytes": 1, "versions": {}}


def test_every_folder_registers() -> None:
    folders = {file.parent.name for file in (Path(layercliff.__file__).parent / "analyses").glob("*/__init__.py")}
    assert {one.package.rpartition(".")[2] for one in ALL} == folders
    assert len({one.place for one in ALL}) == len(ALL)


@pytest.mark.parametrize("analysis", ALL, ids=lambda one: one.name)
def test_folders_follow_the_convention(analysis: RegisteredAnalysis) -> None:
    assert analysis.name == analysis.module("result").FOLDER
    assert callable(analysis.module("result").read)
    assert callable(analysis.module("figures").figures)
    assert analysis.place is None or callable(analysis.module("figures").sentence)
    assert callable(getattr(layercliff, analysis.name))


def test_finding_analyses_is_light() -> None:
    code = "import sys; from layercliff.analyses import registry; registry.analyses(); print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert not {"torch", "altair", "polars", "transformers"} & set(loaded)


def test_a_sentence_draws_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from layercliff.analyses.noise import figures, result

    run = RunDirectory(tmp_path)
    run.claim(made.SUBJECT)
    result.write(run, replace(made.noised(), cost=COST))
    monkeypatch.setattr(figures, "figures", lambda _: pytest.fail("drawn"))
    assert sections.sentence(run, "noise") == figures.sentence(made.noised())
    assert sections.sentence(run, "lens") is None
    (section,) = sections.sections(run, (), [])
    assert (section.name, section.sentence) == ("noise", figures.sentence(made.noised()))
    assert not section.table
    monkeypatch.undo()
    assert all(isinstance(figure, chart.Figure) for figure in section.figures)


def test_analyses_of_a_replaced_path_are_not_shown(tmp_path: Path) -> None:
    from layercliff.analyses.patch import result

    run = RunDirectory(tmp_path)
    run.claim(made.SUBJECT)
    result.write(run, replace(made.patched(), cost=COST))
    assert [section.name for section in sections.sections(run, [made.pruned()], [])] == ["patch"]
    assert list(sections.sections(run, [made.pruned("random")], [])) == []


def test_a_page_is_current_until_a_result_is_written(tmp_path: Path) -> None:
    from layercliff.analyses.noise import result

    run = RunDirectory(tmp_path)
    run.claim(made.SUBJECT)
    assert not page.is_current(run)
    page.write(run)
    assert page.is_current(run)
    result.write(run, replace(made.noised(), cost=COST))
    os.utime(tmp_path / page.PAGE, (2e9, 2e9))  # a clock that was wrong
    assert not page.is_current(run)
    page.write(run)
    os.utime(tmp_path / page.PAGE, (1, 1))
    assert page.is_current(run)
    shutil.rmtree(tmp_path / result.FOLDER)
    assert not page.is_current(run)
