"""A study file: which models are put on which tasks, and pruned how. Strict, so that a mistyped setting is never
silently the default."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import BaseModel, Field, ValidationError, create_model, field_validator, model_validator
from pydantic_core import PydanticCustomError

from layercliff import former_names, limits
from layercliff.choices import DType, Format
from layercliff.errors import RunError, nearest, quoted
from layercliff.pruning.criterion import named
from layercliff.pruning.spec import PruneSpec
from layercliff.run import yaml_files
from layercliff.run.spec import about

OWN = "own"
"""Stands for each task's own format."""
FORMER = {"schedules": "criteria", "foretell": "forecast", **PruneSpec.gone}
"""Former names of settings with those of today."""
WANTED = {"int": "a whole number", "float": "a number", "bool": "true or false", "string": "a text", "tuple": "a list"}
"""What a setting must be, by the kind of what is wrong with it."""


MOST_CELLS = 100_000
LONGEST = 150
"""Longer names are cut where a path is made of them."""


class Checked(BaseModel, frozen=True, extra="forbid"):
    """Settings whose numbers are within the limits that they have everywhere, and whose texts say something."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_flag(cls, value: Any, info: Any) -> Any:
        """True and false are no numbers."""
        if any(isinstance(one, bool) for one in _each(value)) and info.field_name in {"seeds", *limits.LIMITS}:
            raise PydanticCustomError("int_type", "no number")
        return value

    @field_validator("*")
    @classmethod
    def _within_limits(cls, value: Any, info: Any) -> Any:
        name = info.field_name or ""
        if name in limits.LIMITS and isinstance(value, int | float) and (wrong := limits.fault(name, value)):
            raise PydanticCustomError("limits", "{wrong}", {"wrong": wrong})
        for one in _each(value):
            if name == "seeds" and not limits.LIMITS["seed"].allows(one):
                wrong = f"holds {quoted(one)}, and each must be {limits.LIMITS['seed'].phrase}"
                raise PydanticCustomError("limits", "{wrong}", {"wrong": wrong})
            if isinstance(one, str) and not (one.strip() and one.isprintable()):
                raise PydanticCustomError("limits", "{wrong}", {"wrong": f"holds {quoted(one)}, which names nothing"})
        return value


def _each(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


class Asking(Checked, frozen=True, extra="forbid"):
    """A task of a study. `format` and `limit` take the place of the study's for this task."""

    task: str
    format: Format | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Cell:
    """One path of one model on one task. `panel` is the format the study asked for, ``own`` where it named none. Cells
    of one model, task, format and seed share a run directory, `directory` in the study's."""

    model: str
    asking: Asking
    panel: str
    criterion: str
    seed: int

    @property
    def directory(self) -> str:
        """Its run directory's path within the study's."""
        asked = f"{self.asking.task}-{self.asking.format or OWN}-{self.seed}"
        return f"cells/{_filed(self.model)}/{_filed(asked)}"


SHARED = [one for one in fields(PruneSpec) if about(one).study]
"""The options of a path that a study gives all of its cells."""

if TYPE_CHECKING:
    Shared = Checked
else:
    Shared = create_model(
        "Shared", __base__=Checked, **{one.name: (get_type_hints(PruneSpec)[one.name], one.default) for one in SHARED}
    )


class Grid(Shared, frozen=True, extra="forbid"):
    """Every model on every task, in every format, by every criterion, with every seed.

    The other settings are those of `layercliff.prune` and the same for all cells (`SHARED`). `criteria` choose the
    blocks. `forecast` also measures what the collapse point is forecast from.
    """

    models: tuple[str, ...] = Field(min_length=1)
    tasks: tuple[Asking, ...] = Field(min_length=1)
    formats: tuple[Format, ...] = ()
    criteria: tuple[str, ...] = Field(("margin",), min_length=1)
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    limit: int | None = None
    remove: int | None = None
    to_ratio: float | None = None
    race: float | None = None
    draws: int = 5
    forecast: bool = True
    dtype: DType = "float32"
    memory_gb: float = 4.0

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        """A task may be its name alone. Settings may have their former names."""
        if isinstance(given, dict):
            given = former_names.todays(given, FORMER)
        if isinstance(given, dict) and isinstance(given.get("tasks"), list | tuple):
            return given | {"tasks": [{"task": one} if isinstance(one, str) else one for one in given["tasks"]]}
        return given

    @field_validator("criteria")
    @classmethod
    def _known_criteria(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            try:
                named(name)
            except RunError as error:
                raise ValueError(str(error)) from error
        return names

    @model_validator(mode="after")
    def _makes_sense(self) -> "Grid":
        for name in ("models", "tasks", "formats", "criteria", "seeds"):
            if (twice := _twice(getattr(self, name))) is not None:
                raise ValueError(f"{name} holds {quoted(getattr(twice, 'task', twice))} twice: leave one out")
        if self.remove is not None and self.to_ratio is not None:
            raise ValueError(
                "remove and to_ratio both end a path: give one of them, or neither to go on to the collapse"
            )
        n_formats = len(self.formats) or 1
        cells = len(self.models) * len(self.tasks) * n_formats * len(self.criteria) * len(self.seeds)
        if cells > MOST_CELLS:
            raise ValueError(f"it has {cells:,} cells, and more than {MOST_CELLS:,} are no study: name fewer")
        points = [(cell.asking.task, cell.panel, cell.model, cell.criterion, cell.seed) for cell in self.cells()]
        if twice := _twice(points):
            raise ValueError(
                f"tasks holds {twice[0]!r} twice for one figure, where it would count as two seeds: leave one out, "
                "or name its formats under formats"
            )
        return self

    @staticmethod
    def read(file: Path) -> "Grid":
        """The study in a YAML file. Raises `RunError`, in one sentence, for what is not one."""
        return Grid.of(yaml_files.read(file, "study file"), str(file))

    @staticmethod
    def of(content: Any, name: str = "The study") -> "Grid":
        """A study from its content. Raises `RunError`."""
        if not isinstance(content, Mapping):
            raise RunError(f"{name} holds no settings: give at least models and tasks, each a list.")
        try:
            return Grid.model_validate(dict(content))
        except ValidationError as error:
            raise RunError(f"{name}: {_sentence(error)}") from error
        except ValueError as error:
            raise RunError(f"{name}: it holds a number of more than 4,300 digits.") from error

    @property
    def panels(self) -> tuple[str, ...]:
        """Names of the formats asked for."""
        return self.formats or (OWN,)

    def cells(self) -> Iterator[Cell]:
        """All cells, those of a model together, and among them those of a run directory."""
        for model in self.models:
            for asking in self.tasks:
                for panel in (asking.format,) if asking.format and self.formats else self.panels:
                    form = asking.format if panel == OWN else panel
                    limit = asking.limit or self.limit
                    asked = Asking(task=asking.task, format=form, limit=limit)  # type: ignore[arg-type]
                    for seed in self.seeds:
                        for criterion in self.criteria:
                            yield Cell(model, asked, str(panel), criterion, seed)

    def spec(self, cell: Cell, **changes: Any) -> PruneSpec:
        """The path of a cell."""
        shared = {one.name: getattr(self, one.name) for one in SHARED}
        asking = cell.asking
        own = {
            "format": asking.format, "limit": asking.limit, "seed": cell.seed, "criterion": cell.criterion,
            "draws": self.draws, "memory_bytes": limits.memory_bytes(self.memory_gb), "assess": False,
        }  # fmt: skip
        return PruneSpec(cell.model, asking.task, **{**shared, **own, **changes})


def _twice(values: Sequence[Any]) -> Any:
    """The first value that equals an earlier one, or None."""
    return next((value for value, times in Counter(values).items() if times > 1), None)


def _filed(name: str) -> str:
    """A name as a part of a path, told apart from others that would look the same."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")
    return plain if plain == name and len(name) <= LONGEST else f"{plain[-60:]}-{sha256(name.encode()).hexdigest()[:8]}"


def _sentence(error: ValidationError) -> str:
    """The first thing that is wrong."""
    first = error.errors()[0]
    *where, last = first["loc"] or ("the whole",)
    place = ".".join(map(str, (*where, last)))
    if first["type"] in ("extra_forbidden", "invalid_key"):
        known = list((Asking if where else Grid).model_fields)
        return f"there is no setting {quoted(place)}: {nearest(str(last), known)}"
    if first["type"] == "missing":
        return f"{place} is missing: a study names its models and tasks, each as a list."
    if first["type"] == "value_error":
        said = first["msg"].removeprefix("Value error, ").rstrip(".")
        return said if said.endswith("?") else f"{said}."
    given, kind = first["input"], first["type"].partition("_")[0]
    if kind == "literal":
        known = re.findall("'([^']+)'", first["ctx"]["expected"])
        return f"{place}: there is no {quoted(given)}: {nearest(str(given), known)}"
    if first["type"] in ("limits", "too_short"):
        return f"{place} {'is empty: name at least one' if first['type'] == 'too_short' else first['msg']}."
    wanted = f"and must be {WANTED[kind]}" if kind in WANTED else f"which {first['msg'].removeprefix('Input ')}"
    return f"{place} is {quoted(given)}, {wanted}."
