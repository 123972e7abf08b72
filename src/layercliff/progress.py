"""Progress of long work, as a callback."""

from collections.abc import Callable

Report = Callable[[str, int, int], None]
"""Called as ``report(what, done, total)``. `what` names the stage; `done` and `total` share any unit."""


def silent(_what: str, _done: int, _total: int, /) -> None:
    """A report that does nothing."""


Note = Callable[[str], None]
"""Called with a sentence for the user."""


def mute(_sentence: str, /) -> None:
    """A note that does nothing."""
