"""The held-out text, and the user's own."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layercliff.errors import TaskError
from layercliff.tasks import prose


def test_a_dozen_paragraphs_of_like_length() -> None:
    assert len(prose.PARAGRAPHS) == len(set(prose.PARAGRAPHS)) == 12
    for paragraph in prose.PARAGRAPHS:
        assert 60 <= len(paragraph.split()) <= 90
        assert paragraph == " ".join(paragraph.split())
    assert len(set(prose.OPENINGS)) == 4


LINE = st.text("abc .\t", min_size=1).filter(str.strip)


@given(st.lists(st.lists(LINE, min_size=1, max_size=3), min_size=1), st.sampled_from(["\n\n", "\n \t\n", "\n\n\n\n"]))
def test_paragraphs_stand_between_blank_lines(
    tmp_path_factory: pytest.TempPathFactory, paragraphs: list[list[str]], gap: str
) -> None:
    path = tmp_path_factory.mktemp("text") / "own.txt"
    path.write_text(gap.join("\n".join(lines) for lines in paragraphs), encoding="utf-8")
    assert prose.read(path) == tuple(" ".join(" ".join(lines).split()) for lines in paragraphs)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "There is no text file"), (b"", "is empty"), (b" \n\n \n", "is empty"), (b"\xff\xfe\x00", "UTF-8")],
)
def test_refusals(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "own.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TaskError, match=sentence):
        prose.read(path)


def test_windows_line_ends(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n\r\nthree\r\n")
    assert prose.read(tmp_path / "own.txt") == ("one two", "three")
