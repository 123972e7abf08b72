"""The result of a trace: option scores of every question at every depth."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int

from layercliff.choices import Format, Half, Normalisation, Sharing
from layercliff.errors import RunError
from layercliff.tasks.question import Question

Item = TypeVar("Item")


HOW: Mapping[Sharing, str] = {
    "branches": "the rows of a question are run as branches of one sequence",
    "lead": "the rows of a question are run one by one, and only what all rows begin with is run once",
    "nothing": "rows are run whole, without what they have in common being run once",
    "alike": "only rows of equal length are run together",
    "alone": "rows are run one at a time",
}


@dataclass(frozen=True)
class LogitAgreement:
    """How rows are run, and how far their logits are from the network's own forward pass.

    Attributes:
        sharing: What rows share.
        rows: So many were compared.
        tokens: Length of the longest of them.
        difference: The largest difference, as a share of the largest logit.
        lost: Ways of sharing that differed by more than rounding, with their differences.
    """

    sharing: Sharing
    rows: int
    tokens: int
    difference: float
    lost: Mapping[Sharing, float] = field(default_factory=dict)

    @property
    def notice(self) -> str:
        """What a user is told, or nothing."""
        if not self.lost:
            return ""
        return (
            f"{HOW[self.sharing]}; otherwise logits differ from the network's own by up to "
            f"{max(self.lost.values()):.1e} of their size (here {self.difference:.1e})."
        )


@dataclass(frozen=True)
class TracedTask:
    """What was asked of one task.

    Attributes:
        name: The task.
        form: The format it was asked in.
        source: Where it is from.
        split: The part of the data it is from.
        licence: That of the data.
        left_out: Questions that the format cannot ask, with reasons.
        skipped: Bad rows of a file, with reasons.
        agreement: How its rows were run. Older results have none.
    """

    name: str
    form: Format
    source: str
    split: str
    licence: str
    left_out: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    agreement: LogitAgreement | None = None

    def as_dict(self) -> dict[str, Any]:
        """For files."""
        return asdict(self)


@dataclass(frozen=True)
class Trace:
    """Scores of every question at every depth, before softmax.

    Attributes:
        scores: [depth question option] Depth 0..L, float32, in nats: logits of the options' tokens (*letter*,
            *first_token*) or summed log-likelihoods (*cloze*). nan for absent options.
        mask: [question option] Which options there are.
        gold: [question] Index of the right option.
        option_mass: [depth question] The probability of all options together, over the whole vocabulary. nan where not
            computed.
        questions: [question] As they were asked.
        task_of: [question] Name of its task.
        half_of: [question] ``select`` or ``report``.
        tasks: What was asked, by task.
        sizes: [question option] Each option's tokens, characters and UTF-8 bytes in *cloze*, by normalisation. Other
            formats have none, nor have results of version 0.1.0.
    """

    scores: Float[np.ndarray, "depth question option"]
    mask: Bool[np.ndarray, "question option"]
    gold: Int[np.ndarray, " question"]
    option_mass: Float[np.ndarray, "depth question"]
    questions: tuple[Question, ...]
    task_of: tuple[str, ...]
    half_of: tuple[Half, ...]
    tasks: Mapping[str, TracedTask] = field(default_factory=dict)
    sizes: Mapping[Normalisation, Int[np.ndarray, "question option"]] = field(default_factory=dict)

    @property
    def n_layers(self) -> int:
        """L, the number of transformer blocks."""
        return len(self.scores) - 1

    @property
    def groups(self) -> list[str]:
        """The group of each question, told apart by task."""
        return [f"{task}\0{question.group}" for task, question in zip(self.task_of, self.questions, strict=True)]

    def of(self, task: str) -> "Trace":
        """The questions of one task.

        Args:
            task: Its name.

        Returns:
            A trace of these, as wide as their options.
        """
        keep = np.array([name == task for name in self.task_of])
        width = int(self.mask[keep].sum(1).max())
        return Trace(
            self.scores[:, keep, :width],
            self.mask[keep, :width],
            self.gold[keep],
            self.option_mass[:, keep],
            _where(self.questions, keep),
            _where(self.task_of, keep),
            _where(self.half_of, keep),
            {task: self.tasks[task]},
            {by: sizes[keep, :width] for by, sizes in self.sizes.items()},
        )

    def by(self, normalisation: Normalisation) -> "Trace":
        """Divide each option's summed log-likelihood by its characters, tokens or bytes.

        Args:
            normalisation: What to divide by. ``sum`` leaves the scores as they are.

        Returns:
            The same questions with other scores.

        Raises:
            RunError: Where the sizes are not known.
        """
        if normalisation == "sum":
            return self
        if normalisation not in self.sizes:
            raise RunError(
                f"Scores cannot be read by {normalisation}: the sizes of options are known for cloze tasks alone, "
                "traced since decisions are by the sum; ask with --format cloze, into a new --out."
            )
        return replace(self, scores=(self.scores / self.sizes[normalisation]).astype(np.float32), sizes={})

    def at(self, rows: Int[np.ndarray, " row"]) -> "Trace":
        """Only some depths.

        Args:
            rows: [row] Depths, in the order wanted.

        Returns:
            A trace of these.
        """
        return replace(self, scores=self.scores[rows], option_mass=self.option_mass[rows])

    @staticmethod
    def joined(parts: "list[Trace]") -> "Trace":
        """Several tasks in one array, padded to the largest number of options.

        Args:
            parts: Traces with the same depths.

        Returns:
            One trace.
        """
        width = max(part.mask.shape[1] for part in parts)

        def wide(array: np.ndarray, fill: float | int | bool) -> np.ndarray:
            return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, width - array.shape[-1])], constant_values=fill)

        return Trace(
            np.concatenate([wide(p.scores, np.nan) for p in parts], 1),
            np.concatenate([wide(p.mask, False) for p in parts]),
            np.concatenate([p.gold for p in parts]),
            np.concatenate([p.option_mass for p in parts], 1),
            tuple(q for p in parts for q in p.questions),
            tuple(t for p in parts for t in p.task_of),
            tuple(h for p in parts for h in p.half_of),
            {name: task for p in parts for name, task in p.tasks.items()},
            {by: np.concatenate([wide(p.sizes[by], 1) for p in parts]) for by in _common(parts)},
        )


def _common(parts: "list[Trace]") -> list[Normalisation]:
    """The sizes that all parts have."""
    return [by for by in parts[0].sizes if all(by in part.sizes for part in parts)]


def _where(items: tuple[Item, ...], keep: np.ndarray) -> tuple[Item, ...]:
    return tuple(item for item, wanted in zip(items, keep, strict=True) if wanted)
