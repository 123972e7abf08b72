"""A path of pruned models in ``path.json``: which model each step is."""

from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt, model_validator

from layercliff.run.stored_files import Stored, Summary


def _increasing(values: list[int]) -> list[int]:
    """Check that blocks are in increasing order."""
    if any(second <= first for first, second in pairwise(values)):
        raise ValueError(f"{values} is not in increasing order")
    return values


Count = NonNegativeInt
KeptBlocks = Annotated[list[Count], Field(min_length=1), AfterValidator(_increasing)]
StepName = Annotated[str, Field(pattern="^(0|[1-9][0-9]{0,5})$")]
Coefficients = dict[StepName, float]


class StoredBlend(Stored):
    """A merged block: `weights` if linear. `inside` and `outside` if heads and channels lie beside the path."""

    weights: Coefficients | None = None
    inside: Coefficients | None = None
    outside: Coefficients | None = None

    @property
    def sources(self) -> set[int]:
        """The dense blocks that its coefficients name."""
        return {int(block) for part in (self.weights, self.inside, self.outside) for block in part or {}}

    @model_validator(mode="after")
    def _whole(self) -> "StoredBlend":
        if (self.weights is None) == (self.inside is None or self.outside is None):
            raise ValueError("a merged block has weights, or else inside and outside")
        return self


class StoredStep(Stored):
    """A step: the dense blocks it has `kept`, of which those in `blends` are merged."""

    step: Count
    kept: KeptBlocks
    blends: dict[StepName, StoredBlend] = Field(default_factory=dict)


class PathFacts(Summary):
    """A path: the dense model, and the steps."""

    model: str
    revision: str
    n_layers: PositiveInt
    steps: list[StoredStep] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_a_path(self) -> "PathFacts":
        for number, step in enumerate(self.steps):
            if step.step != number:
                raise ValueError(f"step {number} is called {step.step}")
            if number == 0 and step.kept != list(range(self.n_layers)):
                raise ValueError(f"step 0 keeps {step.kept}, not all of {self.n_layers} blocks")
            named = {*step.kept, *(block for one in step.blends.values() for block in one.sources)}
            if max(named) >= self.n_layers:
                raise ValueError(f"step {number} names block {max(named)}, and there are {self.n_layers}")
            if not {int(block) for block in step.blends} <= set(step.kept):
                raise ValueError(f"step {number} merges into blocks that it does not keep")
        return self
