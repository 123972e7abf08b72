"""The analyses. Each is a folder with `spec.py`, `run.py`, `result.py` and `figures.py`, found here by itself.

Modules of an analysis are imported when they are first needed: importing this one loads no torch and no plotting.
By convention, in the folder of the analysis:

* ``result.read(run)`` gives what a run directory holds of it, or None. Of an analysis of steps, ``found.settings``
  says which (`layercliff.pruning.result.Pruned.holds`).
* ``figures.figures(found)`` gives its figures, ``figures.sentence(found)`` what it found, in words.
* ``figures.table(found)``, where there is one, gives a table for the page: its heading, and its rows.
"""

import functools
import pkgutil
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from layercliff.run.spec import AnalysisSpec


@dataclass(frozen=True)
class RegisteredAnalysis:
    """An analysis, as its `spec.py` registers it under the name ``ANALYSIS``.

    Attributes:
        name: That of its command, of the Python verb, and of its folder in a run directory.
        package: Where its modules are (``__package__``).
        spec: The class of its options.
        heading: Stands above its part of the page.
        about: What the command does, in a line.
        place: Orders analyses on the page, smallest first. None: the page shows it in a part of its own.
        of_steps: It looks at steps of a path. The page shows it only while that path is the current one.
    """

    name: str
    package: str
    spec: type[AnalysisSpec]
    heading: str
    about: str
    place: int | None
    of_steps: bool = False

    def module(self, name: str) -> ModuleType:
        """One of its modules, imported now.

        Args:
            name: ``run``, ``result`` or ``figures``.

        Returns:
            The module.
        """
        return import_module(f"{self.package}.{name}")


@functools.cache
def analyses() -> dict[str, RegisteredAnalysis]:
    """Every analysis by name, in the order of the page. Those with a part of their own come first."""
    package = import_module(__package__)
    folders = [f"{__package__}.{module.name}" for module in pkgutil.iter_modules(package.__path__) if module.ispkg]
    found: list[RegisteredAnalysis] = [import_module(f"{folder}.spec").ANALYSIS for folder in folders]
    return {one.name: one for one in sorted(found, key=lambda one: (one.place or 0, one.name))}
