"""Limits of the numbers that users give, for the command line, Python and study files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from layercliff.errors import RunError, quoted

BLOCKS = 10_000
"""No model has so many blocks."""
OFTEN = 10_000
"""The most draws, trainings or repeats."""
MANY = 2**31
"""The most tokens or questions at once."""
LARGEST_GB = 2**20


@dataclass(frozen=True)
class Limit:
    """The range of a number, with a phrase for it. `open_ends` excludes the ends."""

    phrase: str
    least: int | float
    most: int | float
    whole: bool = True
    open_ends: bool = False

    def allows(self, value: object) -> bool:
        """Whether a value is a number within the limits. Booleans are not numbers."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        if self.open_ends:
            return self.least < value < self.most
        return self.least <= value <= self.most


def _whole(least: int, most: int) -> Limit:
    return Limit(f"a whole number from {least} to {most:,}", least, most)


_SHARE = Limit("a number between 0 and 1", 0, 1, whole=False, open_ends=True)

LIMITS: Mapping[str, Limit] = {
    "shots": _whole(0, OFTEN),
    "limit": _whole(1, MANY),
    "seed": _whole(0, 2**63 - 1),
    "batch_tokens": _whole(1, MANY),
    "memory_bytes": _whole(1, LARGEST_GB * 2**30),
    "memory_gb": Limit(f"a number above 0 and below {LARGEST_GB:,}", 0, LARGEST_GB, whole=False, open_ends=True),
    "remove": _whole(1, BLOCKS),
    "to_ratio": _SHARE,
    "race": _SHARE,
    "splits": _whole(1, OFTEN),
    "draws": _whole(1, OFTEN),
    "tokens": _whole(1, MANY),
    "descent": _whole(0, 1_000_000),
    "eps": Limit("a number from 0 to 1,000,000", 0, 1e6, whole=False),
    "seeds": _whole(1, OFTEN),
    "updates": _whole(0, 10_000_000),
    "batch": _whole(1, 1_000_000),
    "rate": Limit("a number above 0 and below 1,000,000", 0, 1e6, whole=False, open_ends=True),
    "rank": _whole(1, OFTEN),
    "distill": Limit("a number from 0 to 1", 0, 1, whole=False),
    "step": _whole(0, BLOCKS),
    "trained": _whole(0, OFTEN),
    "block": _whole(0, BLOCKS - 1),
    "depth": _whole(0, BLOCKS),
}
"""Limits by the option's name in Python. On the command line it has hyphens."""
SAID = {"memory_bytes": "memory_bytes", "descent": "--steps"}
"""Names of options in refusals, where they are not the Python name with hyphens."""


def check(**given: object) -> None:
    """Raise `RunError` for the first number out of its limits. None means not given."""
    for name, value in given.items():
        if value is not None and (wrong := fault(name, value)):
            raise RunError(f"The option {SAID.get(name) or '--' + name.replace('_', '-')} {wrong}.")


def check_each(option: str, name: str, values: Iterable[object]) -> None:
    """Raise `RunError` for the first of an option's values that is out of the limits of `name`."""
    for value in values:
        if not LIMITS[name].allows(value):
            raise RunError(
                f"The option --{option} holds {quoted(value)}, and each of its values must be {LIMITS[name].phrase}."
            )


def fault(name: str, value: object) -> str | None:
    """What is wrong with a value, as ``is -1, and must be ...``. None where nothing is."""
    limit = LIMITS[name]
    return None if limit.allows(value) else f"is {quoted(value)}, and must be {limit.phrase}"


def memory_bytes(gigabytes: float) -> int:
    """Gigabytes as bytes. Raises `RunError` for a number out of its limits."""
    check(memory_gb=gigabytes)
    return max(1, int(gigabytes * 2**30))
