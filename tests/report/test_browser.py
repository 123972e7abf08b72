"""The pages in a real Chromium: silent, without network, in the dark, on a phone and on paper; figures answer a
pointer, tables sort, questions open."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import made
import polars as pl
import pytest
import word_tasks
from chromium import Page

import layercliff
from layercliff.analyses.trace import tables
from layercliff.models.model import Model
from layercliff.pruning import result as pruned
from layercliff.run.directory import RunDirectory
from layercliff.run.verb import no_pages
from layercliff.studies import page as study_page
from layercliff.tasks.question import Question, Task

EVIL = "</script><script>document.title='evil'</script><img src=x onerror=alert(1)>"
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def run(tiny: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with a trace, a short path and an analysis, and a question that would be a script."""
    questions = [
        Question(
            f"q{i}",
            f"which of these is {i}?",
            tuple(word_tasks.WORDS[(i + j) % 8] for j in range(2 + i % 3)),
            1,
            f"g{i}",
        )
        for i in range(13)
    ]
    questions.append(Question("evil", f"{EVIL}\nwhich?", ("blue <b>bold</b>", f"red {EVIL}"), 0, "evil"))
    task, out = (
        Task("colours", tuple(questions), "made up", "none", "first_token"),
        tmp_path_factory.mktemp("page") / "run",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYERCLIFF_CACHE", str(tmp_path_factory.mktemp("cache")))
        with no_pages():
            layercliff.trace(tiny, task, out=out)
            layercliff.prune(tiny, task, remove=2, assess=False, out=out)
            layercliff.noise(tiny, task, eps=(0.1,), draws=2, out=out)
        layercliff.claims(tiny, task, out=out)
        study = RunDirectory(out.parent / "study")
        study_page.write(study, made.study())
    return out


@pytest.fixture
def opened(opens: Callable[..., Page], run: Path) -> Callable[..., Page]:
    """Opens the run's page, or another."""
    return lambda directory=run, **more: opens(directory, **more)


def hover(page: Page, chart: str, number: int) -> dict[str, str]:
    """What the tooltip says of a point of a figure."""
    page.locator(f"{chart} .mark-symbol.role-mark path").nth(number).hover()
    rows = page.locator("#vg-tooltip-element.visible tr")
    rows.first.wait_for()
    cells = [row.locator("td").all_inner_texts() for row in rows.all()]
    return {name.rstrip(": "): value.replace("\N{MINUS SIGN}", "-") for name, value in cells}


def column(page: Page, table: str, number: int) -> list[str]:
    return [
        text.strip()
        for text in page.locator(f"{table} tbody tr:not(.detail) td:nth-child({number})").all_text_contents()
    ]


def test_every_figure_is_drawn_and_hostile_text_is_text(opened: Callable[..., Page]) -> None:
    page = opened()
    assert page.title() == "layercliff: run"
    assert page.locator(".chart svg").count() == page.locator("figure").count() > 10
    assert page.locator("img").count() == 0
    for link in page.locator("nav a").all():
        assert page.locator(str(link.get_attribute("href"))).count() == 1
    assert page.locator("section h2").first.inner_text() == "Verdicts"


def test_a_point_says_depth_block_value_interval_and_n(opened: Callable[..., Page], run: Path) -> None:
    page = opened()
    row = pl.read_parquet(run / "trace" / "depths.parquet").row(2, named=True)
    assert hover(page, "#chart-colours-margin", 2) == {
        "depth": "2",
        "written by": "block 1",
        "questions": "14",
        "decision margin": f"{row['margin']:+.3f}",
        "decision margin, 95 % low": f"{row['margin_low']:+.3f}",
        "decision margin, 95 % high": f"{row['margin_high']:+.3f}",
    }
    assert {"noise", "depth", "written by", "questions"} < set(hover(page, "#chart-noise-margin", 1))


def test_nothing_lies_over_a_point(opened: Callable[..., Page], run: Path) -> None:
    """A pointer in the middle of a point meets a point: no label, band or line of another curve."""
    covered = """path => { path.scrollIntoView({block: "center"}); const at = path.getBoundingClientRect();
        const met = document.elementFromPoint(at.x + at.width / 2, at.y + at.height / 2);
        if (met.closest(".mark-symbol")) return "";
        return met.outerHTML.slice(0, 200) + met.parentNode.getAttribute("class") }"""
    for page in (opened(), opened(run.parent / "study")):
        points = page.locator(".chart .mark-symbol.role-mark path")
        assert points.count() > 10
        assert [text for text in points.evaluate_all(f"all => all.map({covered})") if text] == []


def test_tables_sort_by_numbers_and_by_keyboard(opened: Callable[..., Page]) -> None:
    page, path = opened(), "#prune-margin table.sortable"
    heading = page.locator(f"{path} th", has_text="margin")
    given = column(page, path, 4)
    heading.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert column(page, path, 4) == sorted(given, key=lambda text: float(text.split()[0]))
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert column(page, path, 4) == sorted(given, key=lambda text: -float(text.split()[0]))
    page.locator(f"{path} th", has_text="points lost").get_by_role("button").click()
    assert heading.get_attribute("aria-sort") is None
    assert column(page, path, 6)[-1] == ""  # the dense model loses nothing


def test_the_verdicts_sort(opened: Callable[..., Page]) -> None:
    page, ids = opened(), [f"C{number}" for number in range(1, 11)]

    def shown() -> list[str]:
        return [text.split()[0] for text in column(page, "#claims", 1)]

    assert shown() == ids
    assert page.locator("#claims td.answer").all_inner_texts() == ["undecided"] * 10
    button = page.locator("#claims th").first.get_by_role("button")
    button.click()
    button.click()
    assert shown() == ids[::-1]


def test_words_beyond_numbers_and_empty_cells(browser: Any) -> None:
    texts = ["beyond 9", "", "+0.5 [+0.1, +0.9]", "never", "-2", "12", "beyond 3", "-2 [again]", "3%"]
    script = (files("layercliff") / "report" / "sorting.js").read_text()
    page = browser.new_page()
    rows = "".join(f"<tr><td>{text}</td><td>{number}</td></tr>" for number, text in enumerate(texts))
    page.set_content(f"<table class=sortable><thead><tr><th>a</th><th>b</th></tr></thead><tbody>{rows}</tbody></table>")
    page.add_script_tag(content=script)
    page.get_by_role("button", name="a").click()
    known = ["-2", "-2 [again]", "+0.5 [+0.1, +0.9]", "3%", "12"]
    assert column(page, "table", 1) == [*known, "beyond 3", "beyond 9", "never", ""]
    page.get_by_role("button", name="a").click()
    down = ["12", "3%", "+0.5 [+0.1, +0.9]", "-2", "-2 [again]"]  # ties in the order of the page
    assert column(page, "table", 1) == ["never", "beyond 9", "beyond 3", *down, ""]
    page.close()


def test_a_question_opens_with_its_options_and_margins(opened: Callable[..., Page], run: Path) -> None:
    page, path = opened(), pruned.read(RunDirectory(run), "margin")
    assert path is not None
    asked = path.traces[0].questions[3]
    stored = pl.read_parquet(run / "trace" / "questions.parquet").row(by_predicate=pl.col("id") == asked.id, named=True)
    page.locator("#questions summary").click()
    page.get_by_role("button", name=asked.text, exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".detail svg")
    options = page.locator(".detail li").all_inner_texts()
    assert [text.split()[0] for text in options] == list(asked.options)
    assert "gold" in options[asked.gold]
    assert "answered: dense" in options[stored["predicted"]]
    steps = [len(path.steps[k].kept) + 1 for k in (1, 2)]
    assert page.locator(".detail .mark-line path").count() == 3
    assert page.locator(".detail .mark-symbol.role-mark path").count() == 6 + sum(steps)
    told = hover(page, ".detail", 5)
    assert told == {"model": "dense", "depth": "5", "written by": "block 4", "margin": f"{stored['margin']:+.3f}"}
    own = tables.questions_table(path.traces[2]).row(by_predicate=pl.col("id") == asked.id, named=True)
    told = hover(page, ".detail", 5 + sum(steps))
    last = path.steps[2].kept[-1]
    assert told == {
        "model": "margin, 2 removed",
        "depth": f"{last + 1}",
        "written by": f"block {last}",
        "margin": f"{own['margin']:+.3f}",
    }
    page.locator("#questions th", has_text="margin").get_by_role("button").click()
    assert page.locator(".detail").evaluate("row => row.previousElementSibling.textContent.includes(' report')")
    page.get_by_role("button", name=asked.text, exact=True).click()
    assert page.locator(".detail").count() == 0
    table = pl.read_parquet(run / "trace" / "questions.parquet")
    page.get_by_role("button", name=table.filter(half="select")["text"][0], exact=True).first.click()
    page.wait_for_selector(".detail svg")
    assert page.locator(".detail .role-legend-label text").all_text_contents() == ["dense"]


@pytest.mark.parametrize("of", ["run", "study"])
def test_dark_on_a_phone_and_on_paper(opened: Callable[..., Page], run: Path, of: str) -> None:
    page = opened(run.parent / of, viewport=PHONE, scheme="dark")
    label = page.locator(".role-axis-label text").first
    colour = "label => getComputedStyle(label).fill"
    assert label.evaluate(colour) == "rgb(162, 171, 184)"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(
        "[...document.querySelectorAll('.chart svg')].every(svg => svg.getBoundingClientRect().right <= innerWidth)"
    )
    page.emulate_media(media="print")
    assert label.evaluate(colour) == "rgb(91, 102, 117)"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    if of == "run":
        assert page.get_by_text("questions are left out on paper").is_visible()


def test_a_study(opened: Callable[..., Page], run: Path) -> None:
    page = opened(run.parent / "study")
    assert page.locator("#verdicts td.answer").all_inner_texts() == ["supported"]
    told = hover(page, "#chart-transition-collapse-own-margin", 0)
    row = made.rows()[0]
    assert (told["model"], told["task"], told["blocks"], told["questions"]) == ("m0", "t0", "40", "100")
    assert told["T"] == f"{row.transition} [{row.transition}, {row.transition}]"
    page.locator("#cells th", has_text="k*").first.get_by_role("button").click()
    found = column(page, "#cells table", 12)
    known = [float(text.split()[0]) for text in found if text[:1].isdigit()]
    assert known == sorted(known)
    assert found[len(known) :][:2] == ["censored > 39"] * 2
