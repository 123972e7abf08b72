"""Ctrl-C and the signals that end a process, as one exception."""

import atexit
import os
import signal
import sys
import time
from types import FrameType

SENTENCE = "interrupted; what was finished is kept, and the same command goes on from there."
WANTED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
PATIENCE = 1.0  # seconds within which a second signal means the first: some senders send two
SOON = 0.01  # seconds until a lost signal is raised again


class Interrupted(KeyboardInterrupt):
    """What a signal raises."""


class Listening:
    """Listens to signals while it is entered. Signals that the parent switched off stay off.

    Until `begun` is set, nothing needs cleaning up, and a signal ends the process at once.
    """

    def __init__(self) -> None:
        self.begun = False
        self.asked: int | None = None  # the first signal that came
        self._when = 0.0
        self._process = os.getpid()
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Listening":
        global _now  # noqa: PLW0603
        for number in WANTED:
            before = signal.getsignal(number)
            if before not in (signal.SIG_IGN, None):
                self._before[number] = before
                signal.signal(number, self._heard)
        self._hook, sys.unraisablehook = sys.unraisablehook, self._lost
        _now = self
        return self

    def __exit__(self, *_: object) -> None:
        global _now  # noqa: PLW0603
        _now = None
        sys.unraisablehook = self._hook
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]
        atexit.unregister(_default)
        atexit.register(_default)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a forked child: it holds nothing of the run
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if self.asked is None:
            self.asked, self._when = number, time.monotonic()
            if self.begun:
                raise Interrupted
            self._end()
        elif time.monotonic() - self._when > PATIENCE:
            self._end()

    def _lost(self, what: "sys.UnraisableHookArgs", /) -> None:
        """Raise an interruption again that came where Python cannot raise, such as in a destructor."""
        if isinstance(what.exc_value, Interrupted):
            signal.signal(signal.SIGALRM, _again)
            signal.setitimer(signal.ITIMER_REAL, SOON)
        else:
            self._hook(what)

    def _end(self) -> None:
        """End the process at once, with the sentence. Files on disk are whole at any time."""
        shown = "\x1b[?25h\n" if os.isatty(2) else ""  # a progress bar hides the cursor
        try:
            os.write(2, f"{shown}layercliff: {SENTENCE}\n".encode())
        finally:
            os._exit(128 + (self.asked or signal.SIGINT))


_now: Listening | None = None


def asked() -> int | None:
    """The signal that asked this command to end, if any. Whatever is raised then comes of it."""
    return _now.asked if _now else None


def _again(_number: int, _frame: FrameType | None) -> None:
    raise Interrupted


def _default() -> None:
    """Restore the default handling of signals while Python ends."""
    for number in WANTED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
