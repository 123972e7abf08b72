"""Texts of the command line as the values that options have."""

from layercliff import limits
from layercliff.errors import LayercliffError, quoted


def numbers(text: str | None, option: str, what: str) -> tuple[int, ...]:
    """``0,3,12-18`` as numbers, none where nothing was given.

    Raises `LayercliffError` for what is no number of a `what`, and for a range that runs backwards.
    """
    found: list[int] = []
    for part in filter(None, (part.strip() for part in (text or "").split(","))):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        ends = [_number(end) for end in ((first, last) if dash else (first,))]
        if None in ends or any(limits.fault(what, end) for end in ends):
            raise LayercliffError(
                f"The option --{option} holds {quoted(part)}, which is not a {what}'s number: "
                f"give numbers from 0 to {limits.LIMITS[what].most:,}, joined by commas, such as 0,3 or 0-11."
            )
        begin, end = int(first), int(last or first)
        if end < begin:
            raise LayercliffError(f"The option --{option} holds {part}, which runs backwards: write {end}-{begin}.")
        found += range(begin, end + 1)
    if text and not found:
        raise LayercliffError(f"The option --{option} is {quoted(text)}, which names no {what}: leave it out.")
    return tuple(found)


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 10 else None


def protected(text: str) -> tuple[int, ...]:
    """Blocks of ``--protect``."""
    return numbers(text, "protect", "block")


def within(text: str) -> tuple[int, ...] | None:
    """Blocks of ``--within``; None where none was given."""
    return numbers(text, "within", "block") or None


def depths(text: str | None) -> object:
    """Depths of ``--depths``, or all."""
    return "all" if text == "all" else numbers(text, "depths", "depth")


def names(text: str) -> tuple[str, ...]:
    """Names joined by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def controls(text: str | None) -> tuple[str, ...]:
    """Controls joined by commas. None for all that the tasks allow. Raises `LayercliffError` for a text without one."""
    if text is None or text.strip() == "all":
        return ()
    if not (found := names(text)):
        raise LayercliffError("The option --control names no control: leave it out, or write all.")
    return found


def sizes(text: str) -> tuple[float, ...]:
    """``0.02,0.1`` as numbers. Raises `LayercliffError`."""
    try:
        found = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise LayercliffError(
            f"The option --eps is {quoted(text)}, and must be numbers joined by commas, such as 0.02,0.5."
        ) from error
    if not found:
        raise LayercliffError("The option --eps names no size of noise, and must be numbers such as 0.02,0.5.")
    return found
