"""Packaged models: language models that PyPI packages carry as data, usable without a hub."""

import tomllib
from functools import cache as once
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from layercliff import cache, packages
from layercliff.errors import ModelError
from layercliff.models import checkpoint_files, gguf
from layercliff.packages import Package
from layercliff.progress import Report


class PackagedModel(BaseModel, frozen=True, extra="forbid"):
    """A model inside PyPI packages: an entry of ``packaged.toml``.

    `parts` are the wheels, in the order of their chunks. `sha256` is that of the joined GGUF file. `config` holds
    what is known of the architecture before the download.
    """

    name: str
    title: str
    licence: str
    notice: str
    member: str
    sha256: str
    download_bytes: int
    parameters: int
    config: dict[str, Any]
    parts: tuple[Package, ...]

    @property
    def directory(self) -> Path:
        """Where the converted checkpoint is cached."""
        return cache.directory() / "models" / f"{self.name}-{self.sha256[:12]}"

    @property
    def cached(self) -> bool:
        return self.directory.exists()

    @property
    def checkpoint_bytes(self) -> int:
        """Size of the converted checkpoint, float32."""
        return 4 * self.parameters

    def fetch(self, report: Report) -> Path:
        """Download, verify, join and convert the model, unless it is cached. **Returns** a directory that
        transformers can load.

        `report(what, done, total)` follows the work. Finished wheels survive an interruption. The checkpoint appears
        when it is complete. Raises `LayercliffError` without network, for altered bytes or a full disk.
        """
        cache.make_directory(self.directory, lambda target: self._build(target, report), checkpoint_files.whole)
        return self.directory

    def _build(self, target: Path, report: Report) -> None:
        cache.require_space(target, 2 * self.download_bytes + self.checkpoint_bytes, f"Preparing {self.name}")
        downloads = cache.directory() / "downloads" / self.name
        wheels = []
        for index, part in enumerate(self.parts):
            report(f"downloading {self.name}", index, len(self.parts))
            wheels.append(packages.fetch(part, downloads))
        report(f"downloading {self.name}", len(self.parts), len(self.parts))
        joined = target / "model.gguf"
        if (found := packages.extract(wheels, self.member, joined)) != self.sha256:
            raise ModelError(
                f"The model file joined from the packages of {self.name} has sha256 {found} instead of the pinned "
                f"{self.sha256}: it is not used."
            )
        report(f"converting {self.name}", 0, 1)
        gguf.convert(joined, target)
        joined.unlink()
        report(f"converting {self.name}", 1, 1)
        packages.discard(downloads)


@once
def models() -> dict[str, PackagedModel]:
    """The packaged models by short name."""
    table = tomllib.loads((files(__package__) / "packaged.toml").read_text(encoding="utf-8"))
    return {name: PackagedModel(name=name, **entry) for name, entry in table.items()}
