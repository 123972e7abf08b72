"""How long work tells of its progress: one callback, no terminal in sight."""

from typing import Protocol


class Report(Protocol):
    """Called as ``report(what, done, total)``; `done` and `total` are in any one unit, `what` names the stage."""

    def __call__(self, what: str, done: float, total: float, /) -> None: ...


def silent(_what: str, _done: float, _total: float, /) -> None:
    """The report that says nothing."""
