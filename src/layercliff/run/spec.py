"""What a run is about and how it is run: every common option, defined once.

The command line, the Python keywords, study files and the reference are made from these classes. Those of the single
verbs inherit from them (``spec.py`` beside each verb's ``run.py``).
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

from layercliff import limits
from layercliff.choices import DType, Format, Sampler
from layercliff.errors import RunError, nearest, quoted
from layercliff.former_names import GONE
from layercliff.progress import Note, Report, mute, silent

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from layercliff.models.model import Model
    from layercliff.tasks.question import Task

    ModelLike = str | Model | PreTrainedModel
    TaskLike = str | Task | Sequence[Task]
    Tokenizer = PreTrainedTokenizerBase
else:  # `layercliff --help` imports no model library
    ModelLike = TaskLike = Tokenizer = Any

OPTION = "option"
Other = TypeVar("Other", bound="Spec")
Same = TypeVar("Same", bound="Spec")


@dataclass(frozen=True)
class Option:
    """How an option is offered.

    `old` are its former names. `names` are those on the command line (default: the field's name). There its
    type is `kind` (default: the field's), which `read` turns into the field's. `shown` is its default there. `limit`
    names its entry in `layercliff.limits`. Without `help` it is offered in Python alone.
    """

    help: str = ""
    names: tuple[str, ...] = ()
    old: tuple[str, ...] = ()
    kind: Any = None
    read: Callable[[Any], Any] | None = None
    shown: Any = ...
    metavar: str | None = None
    environment: str | None = None
    limit: str | None = None
    study: bool = False


def option(default: Any = MISSING, *, positional: bool = False, **how: Any) -> Any:
    """A field of a spec, with how it is offered (see `Option`). Without a default it has to be given."""
    return field(default=default, kw_only=not positional, metadata={OPTION: Option(**how)})


def about(one: "Field[Any]") -> Option:
    """How a field is offered."""
    found: Option = one.metadata[OPTION]
    return found


@dataclass(frozen=True)
class Spec:
    """Options, each checked against its limits as the spec is made. Raises `RunError`.

    `gone` are former options that there is no other name for, with the reason (`layercliff.former_names.GONE`).
    """

    gone: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        own: Any = type(self)
        words = _words(own)
        for one in fields(self):
            how, value = about(one), getattr(self, one.name)
            known = words.get(one.name, ())
            for word in _each(value) if known else ():
                if isinstance(word, str) and word not in known:
                    said = f"The option --{_said(one)} is {quoted(word)}"
                    raise RunError(f"{said}: {nearest(str(word), list(known))}")
            name = how.limit or one.name
            if name not in limits.LIMITS or value is None or isinstance(value, str):
                continue
            if isinstance(value, Sequence):
                limits.check_each(_said(one), name, value)
            else:
                limits.check(**{name: value})

    def into(self, other: type[Other], **changes: Any) -> Other:
        """A spec of another verb with the options that both have, and with `changes`."""
        own = {one.name for one in fields(self)}
        shared = {one.name: getattr(self, one.name) for one in fields(other) if one.init and one.name in own}
        return other(**{**shared, **changes})

    def given(self: Same, **changes: Any) -> Same:
        """The same with `changes`."""
        return self.into(type(self), **changes)


@functools.cache
def _words(spec: Any) -> dict[str, tuple[str, ...]]:
    """The words that an option, or each of its values, is one of."""
    return {name: words for name, hint in get_type_hints(spec).items() if (words := tuple(_literals(hint)))}


def _each(value: Any) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)


def _literals(hint: Any) -> Iterator[str]:
    if get_origin(hint) is Literal:
        yield from get_args(hint)
    for inner in () if get_origin(hint) in (Literal, Callable) else get_args(hint):
        yield from _literals(inner)


def _said(one: "Field[Any]") -> str:
    """An option's name in a refusal, without its hyphens."""
    names = about(one).names
    return names[0].lstrip("-") if names else one.name.replace("_", "-")


def renamed(spec: type[Spec]) -> dict[str, str]:
    """Former names of options with those of today."""
    return {**spec.gone, **{old: one.name for one in fields(spec) for old in about(one).old}}


@dataclass(frozen=True, kw_only=True)
class Loading(Spec):
    """On what a model is loaded."""

    device: str = option("auto", help="auto, cpu, cuda, cuda:1, mps.", study=True)
    trust_remote_code: bool = option(False, help="Run code that comes with the model.", study=True)
    report: Report = option(silent)
    note: Note = option(mute)


@dataclass(frozen=True, kw_only=True)
class Batching(Loading):
    """How much of a run is in memory at a time."""

    batch_tokens: int | None = option(None, help="Tokens that pass through the model together.", study=True)


@dataclass(frozen=True, kw_only=True)
class RunOptions(Batching):
    """How a run is run, and where it is kept."""

    out: str | Path | None = option(
        None, help="The run directory; made if it is not there.", names=("--out", "-o"), kind=Path
    )
    resume: bool = option(
        True,
        help="Go on from what DIR holds of this, or remove that and begin anew.",
        names=("--resume/--fresh",),
    )


@dataclass(frozen=True)
class RunSpec(Spec):
    """What a run is about: a model, tasks, and how the tasks are asked."""

    gone: ClassVar[Mapping[str, str]] = {
        "normalisation": f"{GONE}decisions are by the summed log-probability; a trace also has accuracy per token, "
        "character and byte"
    }

    model: ModelLike = option(
        positional=True,
        names=("--model", "-m"),
        kind=str,
        help="A packaged short name (see `layercliff models`), a directory, a .gguf file, or a hub id owner/name.",
    )
    task: TaskLike = option(
        positional=True,
        names=("--task", "--tasks", "-t"),
        kind=str,
        help="A task (see `layercliff tasks`), NAME=FILE, a .jsonl or .csv file of questions; "
        "several joined by commas.",
    )
    tokenizer: Tokenizer | None = option(None)
    format: Format | None = option(
        None, names=("--format", "-f"), help="letter, cloze or first_token; each task has a default."
    )
    shots: int = option(0, help="Worked examples before each question.", study=True)
    sampler: Sampler = option(
        "fixed",
        help="fixed: the same examples for all questions; first_n, per_item: as lm-evaluation-harness draws.",
        study=True,
    )
    limit: int | None = option(None, help="Ask at most so many questions of each task, after a shuffle by the seed.")
    seed: int = option(0, help="Decides shuffles, distractors, halves and resamples.")
    dtype: DType | None = option(None, kind=DType, shown="float32", help="What blocks compute in.", study=True)
    weights_dtype: DType | None = option(None, help="What weights are stored in, if narrower than --dtype.", study=True)
    chat: bool = option(False, help="Ask through the model's chat template.", study=True)
    skip_bad_rows: bool = option(
        False, help="Leave out rows that cannot be read, counted and listed, instead of stopping.", study=True
    )


@dataclass(frozen=True, kw_only=True)
class PathLength(Spec):
    """How far a path of pruned models goes."""

    remove: int | None = option(None, help="Remove so many blocks.", study=True)
    to_ratio: float | None = option(None, help="Remove this share of the blocks, e.g. 0.25.", study=True)


@dataclass(frozen=True, kw_only=True)
class Memory(Spec):
    """What of the residual stream is kept for later."""

    memory_bytes: int = option(
        2**32,
        names=("--memory-gb",),
        kind=float,
        read=limits.memory_bytes,
        shown=4.0,
        help="GB of states held at a time; what fits is reused.",
    )


@dataclass(frozen=True)
class AnalysisSpec(RunOptions, RunSpec):
    """An analysis of one model on one set of tasks."""


@dataclass(frozen=True, kw_only=True)
class OfPath(Spec):
    """Which steps of which path in the run directory are looked at."""

    steps: Sequence[int] = option(
        (),
        names=("--step",),
        kind=list[int],
        limit="step",
        help="A step of the directory's path; several allowed. Default: the recommended and the collapsed one.",
    )
    criterion: str | None = option(
        None, old=("score",), help="The path's criterion, where the directory holds several paths."
    )
