"""Whatever is wrong with what a user gives, one sentence says so; what is harmless is read as it is."""

import csv
import io
import json
import os
import re
from pathlib import Path

import families
import malformed
import pytest
from commands import Here

FAULT = 70
QUICK, ALL = 50, 1100


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return families.saved(tmp_path_factory.mktemp("fuzz") / "model")


def ended(here: Here, case: malformed.Case, model: str, place: Path, number: int) -> int:
    """Run a case, and check how it ends. **Returns** the exit code."""
    place.mkdir()
    os.chdir(place)
    Path("loop.jsonl").symlink_to("loop.jsonl")
    Path("folder.jsonl").mkdir()
    for name, content in case.files.items():
        Path(name).write_bytes(content.replace(b"MODEL", model.encode()))
    done = here(*(model if part == "MODEL" else part for part in case.arguments))
    about = f"case {number} ({case.kind}): {case.arguments} {case.files}"[:3000] + f"\n{done.stdout}\n{done.stderr}"
    said = [line for line in done.stderr.splitlines() if line.startswith("layercliff: ")]
    assert "Traceback" not in done.stderr, about
    if done.returncode == 0:
        assert case.questions is not None, f"accepted: {about}"
        asked = int(re.search(r"questions\s+(\d+)", done.stdout)[1])  # type: ignore[index]
        assert asked == (case.questions if case.questions >= 0 else counted(case)), about
        return 0
    assert case.questions in (None, -1), f"refused: {about}"
    assert len(said) == 1, about
    sentence = said[0].removeprefix("layercliff: ")
    assert sentence[0].isupper() or sentence.startswith(tuple(case.files)), about
    assert sentence.endswith((".", "?")), about
    assert len(sentence) < 1000, about
    assert sentence.isprintable(), about
    assert done.returncode in (2, FAULT), about
    return done.returncode


def counted(case: malformed.Case) -> int:
    """How many rows a file has, by a reader that knows nothing of layouts."""
    ((name, content),) = case.files.items()
    text = content.decode("utf-8-sig")
    if name.lower().endswith(".csv"):
        return len(list(csv.DictReader(io.StringIO(text))))
    return len([json.loads(line) for line in re.split("\r\n|\r|\n", text) if line.strip()])


def run_all(numbers: range, here: Here, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    codes = [ended(here, malformed.case(n), model, tmp_path / str(n), n) for n in numbers]
    assert codes.count(FAULT) <= len(codes) // 100
    assert codes.count(0) >= len(codes) // 20


def test_some(here: Here, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_all(range(QUICK), here, model, tmp_path, monkeypatch)


@pytest.mark.slow
def test_all(here: Here, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_all(range(QUICK, ALL), here, model, tmp_path, monkeypatch)
