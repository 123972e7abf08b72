"""The documentation's prose is wrapped, and its sentences are short."""

import re
import statistics
from pathlib import Path

import pytest
from documented import PAGES, ROOT

WIDTH, LONGEST, MEDIAN = 100, 30, 11
WRITTEN = [*PAGES, ROOT / "CHANGELOG.md"]

NAMED = re.compile(r"`((?:tests|benchmarks|docs|src|layercliff)/[\w./-]+\.\w+)`")  # a file of the repository
ABBREVIATIONS = re.compile(r"\b(al|eq|e\.g|i\.e|cf|vs)\.(?=\s)")
APART = re.compile(r"^\s*(?:[*-] |\d+\. |#+ |!!! \w+|$)")  # a new paragraph, or an item of a list


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(text: str) -> list[str]:
    """A page's lines without its code, tables, headings, pictures and quotations, which stay as empty lines."""
    kept, fenced = [], False
    for line in text.splitlines():
        fence = line.lstrip().startswith("```")
        fenced ^= fence
        other = fence or fenced or re.match(r"\s*(\||>|#+ |!?\[[^]]*\]\([^)]*\)$)", line)
        kept.append("" if other else line)
    return kept


def sentences(lines: list[str]) -> list[str]:
    """The sentences of lines of prose, an item of a list beginning one."""
    paragraphs = [""]
    for line in lines:
        if APART.match(line):
            paragraphs.append("")
        paragraphs[-1] += f" {line.strip()}"
    found = []
    for paragraph in paragraphs:
        plain = re.sub(r"`[^`]*`", "code", re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", paragraph))
        plain = re.sub(r"^\s*(?:[*-]|\d+\.|!!!) ", "", plain)
        found += re.split(r"(?<=[.!?])[)\"*_]*\s+", ABBREVIATIONS.sub(r"\1", plain))
    return [sentence.strip() for sentence in found if re.search(r"\w", sentence)]


def words(sentence: str) -> int:
    """How many words a sentence has; numbers and signs are none."""
    return sum(bool(re.search(r"[^\W\d]", word)) for word in sentence.split())


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_lines_are_wrapped(page: Path) -> None:
    assert [line for line in prose(page.read_text()) if len(line) > WIDTH] == []


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_sentences_are_short(page: Path) -> None:
    found = sentences(prose(page.read_text()))
    assert [sentence for sentence in found if words(sentence) > LONGEST] == []


def test_the_median_sentence_is_short() -> None:
    lengths = [words(sentence) for page in WRITTEN for sentence in sentences(prose(page.read_text()))]
    assert statistics.median(lengths) <= MEDIAN


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_named_files_exist(page: Path) -> None:
    assert [
        file for file in NAMED.findall(page.read_text()) if not any((ROOT / at / file).is_file() for at in ("", "src"))
    ] == []


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text())
    lost = [(file, anchor) for file, anchor in links if not _found(page.parent / file if file else page, anchor)]
    assert lost == []


def _found(page: Path, anchor: str) -> bool:
    """Whether a page is there and has a heading of that anchor."""
    if not anchor:
        return page.exists()
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_a_long_sentence_is_found() -> None:
    long = "one " * 16
    assert [words(found) for found in sentences([long, f"{long}. Two", "* three", "", "## four"])] == [32, 1, 1, 1]
    assert prose("```sh\na\n```\n| b |\n# c\nd") == ["", "", "", "", "", "d"]
