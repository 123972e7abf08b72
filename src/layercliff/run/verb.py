"""Public functions: each a function of one spec, called with the spec or with its options as keywords."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from layercliff import former_names
from layercliff.run.directory import RunDirectory
from layercliff.run.spec import Spec, renamed

P = ParamSpec("P")
S = TypeVar("S", bound=Spec)
S_contra = TypeVar("S_contra", bound=Spec, contravariant=True)
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_within: ContextVar[bool] = ContextVar("_within", default=False)  # another public function


class Verb(Protocol, Generic[P, S_contra, R_co]):
    """A public function: of a spec, or of the arguments that make one."""

    @overload
    def __call__(self, spec: S_contra, /) -> R_co: ...

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


@contextmanager
def no_pages() -> Iterator[None]:
    """Public functions that are called meanwhile write no page: who called them does."""
    token = _within.set(True)
    try:
        yield
    finally:
        _within.reset(token)


def verb(spec: Callable[P, S], *, page: bool = True) -> Callable[[Callable[[S], R]], Verb[P, S, R]]:
    """Make a function of a `spec` a public one.

    With `page`, the page of the run directory is written when the outermost public function is done.
    """

    return functools.partial(_public, spec, page)


def _public(spec: Any, page: bool, function: Callable[[Any], Any]) -> Any:
    @former_names.arguments(renamed(spec))
    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        return _run(function, _given(spec, args, kwargs), page)

    called.__signature__ = inspect.signature(spec).replace(  # type: ignore[attr-defined]
        return_annotation=inspect.signature(function).return_annotation
    )
    called.spec = spec  # type: ignore[attr-defined]
    return called


def _given(spec: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The spec itself, or what makes one."""
    return args[0] if not kwargs and len(args) == 1 and isinstance(args[0], spec) else spec(*args, **kwargs)


def _run(function: Callable[[Any], R], spec: Any, page: bool) -> R:
    if _within.get():
        return function(spec)
    with no_pages():
        found = function(spec)
    if page and spec.out is not None:
        from layercliff.report import page as pages

        pages.write(RunDirectory(Path(spec.out)))
    return found
