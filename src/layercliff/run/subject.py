"""What a run is about: its subject, written beside the results and compared before anything is added to them."""

from typing import Literal

from pydantic import BaseModel, Field

from layercliff.choices import DType, Format, Normalisation, Order, Sampler


class TaskSubject(BaseModel, frozen=True, extra="forbid"):
    """A task of a run: `digest` is a fingerprint of its questions, prompt and worked examples, `asked_for` what it was
    named with."""

    name: str
    format: Format
    source: str
    split: str
    digest: str
    asked_for: str = ""


class Subject(BaseModel, frozen=True, extra="forbid"):
    """One model on one set of tasks: everything that decides a run's numbers but the machine it runs on.

    `normalisation` is what decisions in a run directory of version 0.1.0 divide a *cloze* log-likelihood by. Since
    then decisions are by the sum, and it is None and not stored: journals hash what is.
    """

    version: Literal[1] = 1
    model: str
    revision: str
    tasks: tuple[TaskSubject, ...]
    shots: int
    sampler: Sampler = "fixed"
    limit: int | None
    seed: int
    dtype: DType
    weights_dtype: DType
    normalisation: Normalisation | None = Field(None, exclude_if=lambda value: value is None)
    chat: bool
    order: Order = "shuffled"

    def differences(self, other: "Subject") -> list[str]:
        """What differs between two subjects, as ``field is A there and B here`` phrases."""
        here, there = self.model_dump(), other.model_dump()
        return [
            f"{name} is {said(there[name])} there and {said(here[name])} here"
            for name in here
            if here[name] != there[name]
        ]


def said(value: object) -> str:
    """A setting's value in a sentence."""
    if value is None or value == []:
        return "not given"
    if isinstance(value, tuple | list):
        tasks = all(isinstance(one, dict) for one in value)
        return " + ".join(
            f"{one['name']} ({one['format']}, {one['digest'][:6]})" if tasks else str(one) for one in value
        )
    return str(value)
