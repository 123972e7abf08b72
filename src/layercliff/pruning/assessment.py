"""What pruning does to a model besides its answers: size, speed, held-out text, what it writes."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from layercliff.metrics.perplexity import Perplexity
from layercliff.metrics.speed import Speed
from layercliff.run.stored_files import shaped
from layercliff.run.strict_json import plain


@dataclass(frozen=True)
class Completion:
    """An opening, and how the dense and the pruned model go on, greedily.

    Attributes:
        opening: The text given.
        dense: What the dense model writes after it.
        pruned: What the pruned model writes after it.
    """

    opening: str
    dense: str
    pruned: str


@dataclass(frozen=True)
class Assessment:
    """A pruned model beside the dense one: size, speed, held-out text, what it writes.

    Attributes:
        kept: Dense indices of the pruned model's blocks.
        n_layers: Number of blocks of the dense model.
        seed: Drew the paragraphs of the intervals.
        device: Where speeds were measured.
        threads: Threads of torch.
        weights_dtype: What weights were stored in while speeds were measured.
        parameters_dense: Parameters of the dense model. Shared weights count once.
        parameters_pruned: Those of the pruned model.
        weight_bytes_dense: Bytes of these weights. Shared ones count once.
        weight_bytes_pruned: Those of the pruned model.
        prompt: Speed of a forward pass over a prompt.
        generation: Speed of greedy generation with a cache, one text at a time.
        perplexity: On held-out text.
        completions: What both models write.
        repetition_dense: Share of 3-grams of tokens that a completion has had before.
        repetition_pruned: The same of the pruned model.
        seconds: How long it took.
    """

    kept: tuple[int, ...]
    n_layers: int
    seed: int
    device: str
    threads: int
    weights_dtype: str
    parameters_dense: int
    parameters_pruned: int
    weight_bytes_dense: int
    weight_bytes_pruned: int
    prompt: Speed
    generation: Speed
    perplexity: Perplexity
    completions: tuple[Completion, ...]
    repetition_dense: float
    repetition_pruned: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """For strict JSON: lists for tuples, null for what is not finite (a perplexity beyond all numbers)."""
        found: dict[str, Any] = plain(asdict(self))
        return found

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> "Assessment":
        """`to_dict`, and back. null becomes infinity.

        Args:
            content: The parsed JSON.

        Returns:
            The assessment.

        Raises:
            ValueError: In a phrase, for anything else.
        """
        text = content.get("perplexity")
        if isinstance(text, dict):
            content = {**content, "perplexity": {name: _finite_or_not(value) for name, value in text.items()}}
        found = shaped(content, Assessment)
        if not set(found.kept) <= set(range(found.n_layers)):
            raise ValueError(f"it keeps blocks {list(found.kept)} of {found.n_layers}")
        return found


def _finite_or_not(estimate: Any) -> Any:
    """An estimate with infinity for null. Anything else as it is."""
    if not isinstance(estimate, dict):
        return estimate
    return {name: math.inf if value is None else value for name, value in estimate.items()}
