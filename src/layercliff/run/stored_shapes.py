"""What the JSON of all results has in common. The rest stands beside each result."""

from pydantic import ConfigDict

from layercliff.run.stored_files import Stored


class Settings(Stored):
    """What a result was made with, as its file has it. `raw` leaves out what was not said."""

    model_config = ConfigDict(frozen=True)


class Cost(Stored):
    """What a result took: seconds, bytes at most, and the versions of libraries."""

    seconds: float
    peak_memory_bytes: int
    versions: dict[str, str]
