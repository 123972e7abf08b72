"""Page and figures come from stored results, open without network, and show hostile text as text."""

import json
import re
import subprocess
import sys
from pathlib import Path

import altair as alt
import polars as pl
import pytest

import layercliff
from layercliff.errors import RunError
from layercliff.models.model import Model
from layercliff.report import chart
from layercliff.report.chart import Figure
from layercliff.tasks.question import Question, Task

EVIL = "</script><script>document.title='evil'</script><img src=x onerror=alert(1)>"


@pytest.fixture
def run(tiny: Model, colours: Task, tmp_path: Path) -> Path:
    evil = Question("evil", EVIL, ("blue <b>bold</b>", "red\x0c\x1b]0;t\x07 " + EVIL), 0, "evil")
    task = Task("colours", (*colours.questions, evil), EVIL, "l", "first_token")
    layercliff.trace(tiny, task, out=tmp_path / "run")
    return tmp_path / "run"


def test_page_is_self_contained_and_escaped(run: Path) -> None:
    page = (run / "report.html").read_text()
    shown, library, drawing = page.split("<script>")  # a third script would be the hostile one
    for part in (shown, drawing):
        assert "<img" not in part
        assert not re.search(r"<(script|link|img)[^>]*(src|href)=", part)
        assert "://" not in re.sub(r'"\$schema": *"[^"]*"', "", part)
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown
    assert "vegaEmbed" in library
    assert r"red\x0c\x1b]0;t\x07" in shown
    assert not re.search(r"[\x00-\x08\x0b-\x1f]|\\\\u00[01]", shown + drawing)


def test_a_figure_takes_any_text(tmp_path: Path) -> None:
    """At a form feed, or a character that XML has not, what draws figures would end the process."""
    table = pl.DataFrame({"x": [1], "name": ["a\x0cb\x1b\ufffe"]})
    drawn = alt.Chart(table).mark_text().encode(x="x:Q", text="name:N")
    paths = chart.write([Figure("one", "head\x0c", "caption\x1b", drawn)], tmp_path)
    assert len(paths) == 3
    assert r"a\x0cb\x1b\ufffe" in (tmp_path / "one.svg").read_text()


def test_captions_state_what_a_figure_shows(run: Path) -> None:
    page = (run / "report.html").read_text()
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert len(captions) == 5
    for caption in captions:
        for part in ("tiny", "colours", "test", "first_token", "n = 13", "float32", "seed 0"):
            assert part in caption


def test_figures_as_files(run: Path) -> None:
    paths = layercliff.figures(run)
    assert len(paths) == 15
    heads = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<svg"}
    for path in paths:
        assert path.read_bytes().startswith(heads[path.suffix])


def test_redrawing_loads_no_model(run: Path) -> None:
    code = (
        f"import sys, layercliff; layercliff.figures({str(run)!r}, ('svg',)); print('torch' in sys.modules, "
        "'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


def test_refusals(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="There is no figure format 'gif'"):
        layercliff.figures(run, ("gif",))
    with pytest.raises(RunError, match="is no run directory"):
        layercliff.figures(tmp_path / "none")
    (run / "trace" / "summary.json").unlink()
    with pytest.raises(RunError, match="holds no finished result"):
        layercliff.figures(run)


def test_undecided_is_said_and_null(tiny: Model, colours: Task, tmp_path: Path) -> None:
    """Gold options that the model ranks last leave it undecided; nothing is made up."""
    from dataclasses import replace

    first = layercliff.trace(tiny, colours).trace
    worst = first.scores[-1].copy()
    worst[~first.mask] = float("inf")
    wrong = tuple(replace(q, gold=int(worst[i].argmin())) for i, q in enumerate(first.questions))
    found = layercliff.trace(tiny, replace(colours, questions=wrong), out=tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "trace" / "summary.json").read_text())
    assert found.transition_depth is None
    assert summary["transition_depth"] is None
    assert summary["transition_depth_high"] is None
    assert summary["silent_phase"] is None
    assert "The model is undecided" in (tmp_path / "run" / "report.html").read_text()
