"""How long work tells of its progress: one callback, no terminal in sight."""

from collections.abc import Callable

Report = Callable[[str, int, int], None]
"""Called as ``report(what, done, total)``; `done` and `total` are in any one unit, `what` names the stage."""


def silent(_what: str, _done: int, _total: int, /) -> None:
    """The report that says nothing."""


Note = Callable[[str], None]
"""Called with a sentence that the user should see."""


def mute(_sentence: str, /) -> None:
    """The note that says nothing."""
