"""Running text, for the criteria that read it and for training lenses: what comes with layercliff, a file's passages, or a dataset's on the hub."""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from layercliff.errors import TaskError
from layercliff.tasks import prose, sources

HUB = "hub:"
PROSE, BOOLQ = "prose", "boolq"


def load(source: str) -> tuple[str, ...]:
    """Passages of ``FILE.txt`` (separated by blank lines), ``FILE.jsonl`` or ``FILE.parquet`` (the field ``text``), or
    ``hub:OWNER/NAME/PATH.parquet``, a file of a dataset on the Hugging Face hub; or a text by its name: ``prose``, a dozen paragraphs, or
    ``boolq``, the passages from Wikipedia that the benchmark of this name asks about. Raises `TaskError`."""
    if source == PROSE:
        return prose.PARAGRAPHS
    if source == BOOLQ:
        table = pl.read_parquet(sources.unpacked(BOOLQ) / "validation.parquet")
        return tuple(table["passage"].unique(maintain_order=True))
    path = _from_hub(source.removeprefix(HUB)) if source.startswith(HUB) else Path(source).expanduser()
    if not path.is_file():
        raise TaskError(
            f"There is no text file {source}: give a .txt, .jsonl or .parquet file, hub:OWNER/NAME/PATH.parquet, {PROSE} or {BOOLQ}."
        )
    try:
        if path.suffix == ".parquet":
            found = pl.read_parquet(path, columns=["text"])["text"].to_list()
        elif path.suffix == ".jsonl":
            found = [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        else:
            found = re.split(r"\n\s*\n", path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise TaskError(
            f"The text file {source} cannot be read ({type(error).__name__}: {error}): it needs UTF-8, and a field named text unless it is plain text."
        ) from error
    passages = tuple(text.strip() for text in found if isinstance(text, str) and text.strip())
    if not passages:
        raise TaskError(f"The text file {source} holds no passage: put some text into it.")
    return passages


def named(source: str) -> str:
    """What a text is called wherever it lies: a file by its name, without its directory."""
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
        raise TaskError(f"hub:{name} names no file of a dataset: write hub:OWNER/NAME/PATH.parquet.")
    try:
        return Path(hf_hub_download(f"{owner}/{dataset}", file, repo_type="dataset"))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, ConnectionError) as error:
        raise TaskError(
            f"The text hub:{name} cannot be had from the hub ({type(error).__name__}): give a file of your own with --text FILE."
        ) from error
