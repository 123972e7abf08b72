"""The door of the command line: signals, output that nobody takes, and the net below every command.

Nothing is imported here that takes time, so that Ctrl-C in the first moment finds this door standing.
"""

import sys

from layercliff import interrupts

REFUSED = 2
FAULT = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED = 130  # what typer exits with after Ctrl-C


def main() -> None:
    """Run the command line.

    A refusal is one sentence on standard error and exits with 2, a signal with 128 and its number.
    What nobody foresaw exits with 70.
    """
    with interrupts.Listening() as listening:
        code = _run(listening)
    sys.exit(code)


def _run(listening: interrupts.Listening) -> int:
    """Run the command. **Returns** what the process exits with. All that there is to say has been said."""
    from layercliff import faults, output
    from layercliff.errors import Fault, LayercliffError

    with output.channels():
        try:
            with faults.contained():
                code = _command(listening)
                output.finish()
        except KeyboardInterrupt:
            output.say_sentence(interrupts.SENTENCE)
            code = 128 + (listening.asked or INTERRUPTED - 128)
        except output.BrokenPipe as error:
            code = error.code
        except LayercliffError as error:
            output.say_sentence(str(error))
            code = FAULT if isinstance(error, Fault) else REFUSED
    return code


def _command(listening: interrupts.Listening) -> int:
    """Parse the command line and run its command. **Returns** the exit code."""
    import gc

    gc.set_threshold(
        200_000
    )  # imports and tokenizers make millions of objects that stay: looking through them costs seconds
    from layercliff.cli.app import app

    listening.begun = True
    try:
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            raise KeyboardInterrupt from end
        if isinstance(end.__context__, BrokenPipeError):  # typer keeps quiet about any broken pipe: this one is inside
            raise end.__context__ from None
        return int(end.code or 0)
    return 0
