"""Former names of public things: they work for one release, with a warning."""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type)
Function = TypeVar("Function", bound=Callable[..., Any])


GONE = "gone: "
"""What the name of today begins with where there is none any more; then comes the reason."""


def sentence(former: str, today: str) -> str:
    """What is said of a former name."""
    return f"{former} is {today}." if today.startswith(GONE) else f"{former} is called {today} now."


def warn(former: str, today: str, stacklevel: int = 3) -> None:
    """Give the warning, which names the caller `stacklevel` calls above."""
    warnings.warn(sentence(former, today), DeprecationWarning, stacklevel=stacklevel)


def todays(
    given: Mapping[str, Any], names: Mapping[str, str], tell: Callable[[str, str], object] = warn
) -> dict[str, Any]:
    """Values by today's names.

    `names` are former names with those of today. `tell` hears of each that is met. Where both are given, both stay,
    for whoever refuses unknown names. What is gone is dropped.
    """
    found = dict(given)
    for former in names.keys() & found.keys():
        if (today := names[former]) not in found:
            tell(former, today)
            value = found.pop(former)
            if not today.startswith(GONE):
                found[today] = value
    return found


def arguments(names: Mapping[str, str]) -> Callable[[Function], Function]:
    """Let a function take keywords by their former `names`."""
    return functools.partial(_with_arguments, names)


def _with_arguments(names: Mapping[str, str], function: Any) -> Any:
    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **todays(kwargs, names, _warn_of_option))

    return called


def _warn_of_option(former: str, today: str) -> None:
    warn(f"The option {former}", today, 5)


def attributes(**names: str) -> Callable[[Class], Class]:
    """Let objects of a class have attributes by their former `names`."""
    return functools.partial(_with_attributes, names)


def _with_attributes(names: Mapping[str, str], of: Class) -> Class:
    for former, today in names.items():
        setattr(of, former, _Former(f"{of.__name__}.{former}", today))
    return of


class _Former:
    """An attribute by its former name."""

    def __init__(self, former: str, today: str) -> None:
        self.former, self.today = former, today

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        warn(self.former, self.today)
        return getattr(instance, self.today)
