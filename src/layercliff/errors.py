"""Errors of layercliff: each is one sentence with what is wrong, the value and the cure."""


class LayercliffError(Exception):
    """Base of all refusals. The command line prints the sentence and exits with 2."""


class ModelError(LayercliffError):
    """A model cannot be found, loaded or understood."""


class TaskError(LayercliffError):
    """A task cannot be found, read or asked in the wanted format."""


class RunError(LayercliffError):
    """A run directory cannot be used as asked."""


class Fault(LayercliffError):
    """An unforeseen error. Its text says where the traceback is. The command line exits with 70."""


def quoted(value: object, most: int = 80) -> str:
    """A value as Python writes it, shortened in the middle.

    >>> quoted("ab" * 50, 20)
    "'abababa...bababab'"
    """
    if isinstance(value, int) and value.bit_length() > 1000:
        return f"a number of about {round(value.bit_length() * 0.30103)} digits"
    text, half = repr(value), most // 2 - 2
    return text if len(text) <= most else f"{text[:half]}...{text[-half:]}"


def numbered(what: str, n: int) -> str:
    """The numbers of `n` things, from 0.

    >>> numbered("step", 3), numbered("step", 1), numbered("step", 0)
    ('steps 0-2', 'step 0 alone', 'no steps')
    """
    return f"{what}s 0-{n - 1}" if n > 1 else f"{what} 0 alone" if n else f"no {what}s"


def nearest(name: str, known: list[str], listed: list[str] | None = None) -> str:
    """A phrase that offers the names closest to a mistyped one, or lists all of them, or only those `listed`.

    >>> nearest("citis", ["capitals", "cities"])
    'did you mean cities or capitals?'
    """
    import difflib

    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(listed or known)}."
