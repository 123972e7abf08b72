"""Running text, for criteria that read it and for training lenses."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from layercliff.errors import TaskError, quoted
from layercliff.tasks import local_files, prose, row_files, sources
from layercliff.tasks.question import HALF, is_whole
from layercliff.tasks.rows import FileRow

HUB = "hub:"
PROSE, BOOLQ = "prose", "boolq"
WHAT = "text file"


def load(source: str) -> tuple[str, ...]:
    """Load passages by the name of a text. Raises `TaskError`.

    * ``FILE.txt``, separated by blank lines.
    * ``FILE.jsonl`` or ``FILE.parquet``, the field ``text``.
    * ``hub:OWNER/NAME/PATH.parquet``, a file of a dataset on the Hugging Face hub.
    * ``prose``, a dozen paragraphs that come with layercliff.
    * ``boolq``, the Wikipedia passages of this benchmark.
    """
    if source == PROSE:
        return prose.PARAGRAPHS
    if source == BOOLQ:
        table = local_files.parquet(sources.unpacked(BOOLQ) / "validation.parquet", WHAT)
        return tuple(table["passage"].unique(maintain_order=True))
    path = local_files.located(_from_hub(source.removeprefix(HUB)) if source.startswith(HUB) else source, WHAT)
    kind = path.suffix.lower()
    if kind == ".parquet":
        found = _column(path)
    elif kind == ".jsonl":
        found = [_field(row, path, line) for line, row in row_files.json_lines(local_files.text(path, WHAT))]
    else:
        found = re.split(r"\n\s*\n", local_files.text(path, WHAT))
    passages = tuple(text.strip() for text in found if text and text.strip())
    if not passages:
        raise TaskError(f"The text file {source} holds no passage: put some text into it.")
    return passages


def _column(path: Path) -> list[str | None]:
    """The column ``text`` of a Parquet file."""
    table = local_files.parquet(path, WHAT)
    if "text" not in table.columns or table["text"].dtype not in (pl.String, pl.Null):
        raise TaskError(f"The text file {path} has no column of texts called text: rename the one to be read.")
    return table["text"].to_list()


def _field(row: FileRow | str, path: Path, line: int) -> str | None:
    """The field ``text`` of a line of JSONL, or null."""
    reason = row if isinstance(row, str) else "it has no field text" if "text" not in row else None
    found = None if isinstance(row, str) else row.get("text")
    if reason is None and found is not None and not isinstance(found, str):
        reason = f"its field text is {quoted(found)}, which is no text"
    if reason is None and found is not None and not is_whole(found):
        reason = f"its text {HALF}"
    if reason is not None:
        raise TaskError(f"The text file {path} cannot be read: line {line}: {reason}.")
    return found


def named(source: str) -> str:
    """A text's name wherever it lies: a file without its directory."""
    return source if source in (PROSE, BOOLQ) or source.startswith(HUB) else Path(source).name


def digest(passages: Sequence[str]) -> str:
    """A fingerprint."""
    return hashlib.sha256("\0".join(passages).encode()).hexdigest()[:16]


def _from_hub(name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    owner, _, rest = name.partition("/")
    dataset, _, file = rest.partition("/")
    if not file:
        raise TaskError(f"The text hub:{name} names no file of a dataset: write hub:OWNER/NAME/PATH.parquet.")
    try:
        return Path(hf_hub_download(f"{owner}/{dataset}", file, repo_type="dataset"))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, ConnectionError) as error:
        raise TaskError(
            f"The text hub:{name} cannot be had from the hub ({type(error).__name__}): give a file of your own with "
            "--text FILE."
        ) from error
