"""Analyses of steps of the path by margin: what is held of them, and with which steps they are made."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from layercliff.errors import RunError
from layercliff.pruning import result as pruned
from layercliff.pruning.result import Pruned
from layercliff.pruning.shapes import StepSettings
from layercliff.run.directory import RunDirectory

PATH = "margin"


@runtime_checkable
class OfSteps(Protocol):
    """A stored analysis of steps of a path."""

    @property
    def settings(self) -> StepSettings: ...


def check(run: RunDirectory, name: str, kept: OfSteps | None) -> None:
    """Raise `RunError` where a directory holds an analysis of another path, and that path as well."""
    if kept is not None and kept.settings.criterion != PATH and pruned.current(run, kept.settings.raw()):
        raise RunError(
            f"{run.path / name} holds what {name} found on the path by {kept.settings.criterion}, which the same on "
            f"the path by {PATH} would replace: remove it, or choose another --out."
        )


def holds(path: Pruned, steps: Sequence[int], kept: OfSteps | None) -> bool:
    """Whether what is kept speaks of these steps of the path as it is."""
    return kept is not None and path.holds(kept.settings) and set(map(str, steps)) <= set(kept.settings.steps)


def options(path: Pruned, steps: Sequence[int], kept: OfSteps | None, *own: str) -> dict[str, Any]:
    """What an analysis of these steps is told.

    Steps that are kept of the same path stay, with the settings by the names `own`.
    """
    if kept is None or not path.holds(kept.settings):
        return {"criterion": PATH, "steps": sorted(steps)}
    more = {name: getattr(kept.settings, name) for name in own}
    return {"criterion": PATH, "steps": sorted({*steps, *map(int, kept.settings.steps)}), **more}
