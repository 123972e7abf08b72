"""A time limit for code of others."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from layercliff.errors import TaskError


@contextmanager
def within(seconds: float, sentence: str) -> Iterator[None]:
    """Give the body a time limit. Only the main thread of a Unix process can be stopped.

    Args:
        seconds: The limit.
        sentence: What the error says.

    Raises:
        TaskError: Where the body takes longer.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(_: int, __: FrameType | None) -> None:
        raise TaskError(sentence)

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
