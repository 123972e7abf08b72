"""The registry of criteria: what a path of pruned models is chosen by.

A criterion is one file in `layercliff.pruning.criteria`. A decorator, `criterion` or `one_shot.one_shot`, registers it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from layercliff.errors import RunError, nearest, quoted
from layercliff.pruning import criteria

if TYPE_CHECKING:  # the registry is read where no model library is loaded
    from layercliff.pruning.criterion_input import CriterionInput
    from layercliff.pruning.step import BlockSelector

Make = TypeVar("Make", bound="Callable[[CriterionInput], BlockSelector]")

DEFAULT = "margin"
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\+?")
"""What a criterion may be called: its name is a folder's."""

Kind = Literal["iterative", "fixed order", "random order", "one shot", "contiguous", "merging"]
"""How a criterion works.

An iterative one scores every candidate anew at each step. A one-shot one ranks the blocks of the dense model. Others
go in an order that is given or drawn, remove one run of consecutive blocks, or merge blocks.
"""

Reads = Literal["nothing", "questions", "text"]
"""What a criterion is computed on: the questions of the ``select`` half, or the passages of ``--text``."""

PassCost = Literal["nothing", "pass", "sweep", "pass per step", "sweep per step", "unknown"]
"""Block passes that choosing takes.

A pass runs the ``select`` half through the blocks. A sweep runs it without each candidate. Either is needed once or at
each step. ``unknown``: it cannot be said before a path is walked.
"""


@dataclass(frozen=True)
class Description:
    """What a stored path says of its criterion.

    Attributes:
        about: What goes first, or is kept, in a few words.
        citation: The source: authors and year, or ``ours``.
        kind: How it works.
    """

    about: str
    citation: str
    kind: Kind

    @property
    def words(self) -> str:
        """The kind and what goes first."""
        return f"{self.kind}: {self.about}"

    def as_dict(self) -> dict[str, str]:
        """For files."""
        return {"about": self.about, "citation": self.citation, "kind": self.kind}

    @property
    def iterative(self) -> bool:
        """Whether every step scores every candidate anew."""
        return self.kind == "iterative"

    @property
    def drawn(self) -> bool:
        """Whether paths are repeated over random draws, not over halves of the questions."""
        return self.kind == "random order"

    @property
    def runs(self) -> bool:
        """Whether a candidate is a run of blocks, named by its first."""
        return self.kind == "contiguous"

    @property
    def rank(self) -> int:
        """Where its kind stands among all kinds."""
        return get_args(Kind).index(self.kind)


@dataclass(frozen=True)
class Criterion(Description):
    """A registered criterion.

    Attributes:
        name: What ``--criterion`` takes.
        raced: Whether a race may drop candidates early.
        reads: What it is computed on.
        cost: Block passes that choosing takes.
        make: Begins one path by it.
    """

    name: str
    raced: bool
    reads: Reads
    cost: PassCost
    make: "Callable[[CriterionInput], BlockSelector]"

    @property
    def plannable(self) -> bool:
        """Whether its block passes can be counted before a path is walked. The length of a text is not known then."""
        return self.cost == "nothing" or (self.cost != "unknown" and self.reads != "text")


_REGISTERED: dict[str, Criterion] = {}


def criterion(
    name: str,
    *,
    kind: Kind,
    about: str,
    citation: str,
    raced: bool = False,
    reads: Reads = "questions",
    cost: PassCost = "unknown",
) -> Callable[[Make], Make]:
    """Register the decorated class or function, which makes a `BlockSelector` from a `CriterionInput`.

    A later registration takes the place of an earlier one of the same name.

    Args:
        name: What ``--criterion`` takes: small letters, digits and _, and at most a + at the end.
        kind: How it works.
        about: What goes first, or is kept, in a few words.
        citation: The source: authors and year, or ``ours``.
        raced: Whether the selector heeds `CriterionInput.race` (`IterativeSelector` does).
        reads: What it is computed on.
        cost: Block passes that choosing takes.

    Returns:
        A decorator that gives back what it decorates.

    Raises:
        ValueError: For a name that is none.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} names no criterion: use small letters, digits and _, and at most a + at the end")

    def register(make: Make) -> Make:
        return _register(Criterion(about, citation, kind, name, raced, reads, cost, make), make)

    return register


def _register(entry: Criterion, make: Make) -> Make:
    _REGISTERED[entry.name] = entry
    return make


def registered() -> Mapping[str, Criterion]:
    """All criteria by name, kind by kind. Imports the files of `layercliff.pruning.criteria`."""
    _import_all(tuple(criteria.__path__))
    return dict(sorted(_REGISTERED.items(), key=lambda entry: entry[1].rank))


def named(name: str) -> Criterion:
    """A criterion by its name.

    Args:
        name: As registered.

    Returns:
        The criterion.

    Raises:
        RunError: With the nearest known name, where there is none.
    """
    known = registered()
    if name not in known:
        raise RunError(f"There is no criterion {quoted(name)}: {nearest(name, list(known))}")
    return known[name]


@cache
def _import_all(folders: tuple[str, ...]) -> None:
    for module in iter_modules(folders):
        import_module(f"{criteria.__name__}.{module.name}")
