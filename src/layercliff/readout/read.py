"""One pass of a batch through the model, read at every depth."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from layercliff.choices import Format, OptionMass
from layercliff.errors import ModelError
from layercliff.models.blockwise_pass import BlockwisePass, PrefixCache
from layercliff.models.model import Model
from layercliff.progress import Note, mute
from layercliff.readout.batches import Batch
from layercliff.readout.halving import BatchHalving
from layercliff.readout.lens import Lens
from layercliff.run.directory import Journal, journalled

LEAD_BYTES = (
    2**30
)  # of states, keys and values of what all batches of a task begin with; kept from one batch to the next

MakeStates = Callable[[BlockwisePass, Batch], Iterable[tuple[int, Float[Tensor, "row position d"]]]]
"""Makes the states of a batch to be read, each with the depth that it is read as."""


@dataclass(frozen=True)
class Reading:
    """The scores of a batch, by depth and row.

    Attributes:
        scores: [depth row option] The options' logits in *letter* and *first_token*, padded with nan. In *cloze* the
            summed log-probability of the row's continuation in nats, [depth row 1].
        mass: [depth row] The probability of all options together, over the whole vocabulary. nan where not computed.
        greedy: [depth row] In *cloze*, whether every token of the continuation is the likeliest. Otherwise False.
    """

    scores: Float[np.ndarray, "depth row option"]
    mass: Float[np.ndarray, "depth row"]
    greedy: Bool[np.ndarray, "depth row"]

    def arrays(self) -> dict[str, np.ndarray]:
        """For the journal."""
        return {"scores": self.scores, "mass": self.mass, "greedy": self.greedy}

    def up_to(self, depths: int) -> "Reading":
        """The first depths.

        Args:
            depths: How many.

        Returns:
            A shorter reading.
        """
        return Reading(self.scores[:depths], self.mass[:depths], self.greedy[:depths])

    @staticmethod
    def of(arrays: Mapping[str, np.ndarray]) -> "Reading":
        """The inverse of `arrays`.

        Args:
            arrays: What the journal holds.

        Returns:
            The reading.
        """
        return Reading(arrays["scores"], arrays["mass"], arrays["greedy"])


class Reader:
    """Reads batches of one format through a lens, at every depth or only at `depths`.

    Depths are those of the blocks that are run. Out of memory, it halves the batch and goes on, and tells `note`
    once.
    """

    def __init__(
        self,
        model: Model,
        lens: Lens,
        form: Format,
        option_mass: OptionMass = "last",
        note: Note = mute,
        *,
        depths: Collection[int] | None = None,
    ) -> None:
        self.model, self.lens, self.form, self.option_mass, self.note = model, lens, form, option_mass, note
        self.depths = depths
        self._leads = PrefixCache(LEAD_BYTES)
        self.halving = BatchHalving(self._say_halving, partial(too_large, model))

    def read(self, batch: Batch, kept: Sequence[int] | MakeStates | None = None) -> Reading:
        """Run a batch through blocks and read every depth.

        Args:
            batch: What is run.
            kept: The blocks (default: all). Or a function that makes the states to read. The prefix is then run with
                every batch: changed streams cannot be told apart by the blocks that they passed.

        Returns:
            Scores by depth and row.

        Raises:
            ModelError: Where a single row does not fit in memory, or for states that are not finite.
        """
        return reduce(joined, self.halving.run(batch, lambda part: self._read_whole(part, kept)))

    def _say_halving(self, tokens: int) -> None:
        if self.halving.budget is None:
            self.note(
                f"Out of memory with {tokens} tokens at once: going on with half of that. Set --batch-tokens "
                f"{tokens // 2} next time."
            )

    @torch.inference_mode()
    def _read_whole(self, batch: Batch, kept: Sequence[int] | MakeStates | None) -> Reading:
        passage = self.model.anatomy.enter(batch.levels(self.model.device), None if callable(kept) else self._leads)
        with self.model.anatomy.computing():
            found = kept(passage, batch) if callable(kept) else passage.depths(kept)
            return self.read_states(batch, (s for s in found if self.depths is None or s[0] in self.depths))

    def read_states(self, batch: Batch, states: Iterable[tuple[int, Float[Tensor, "row position d"]]]) -> Reading:
        """Read states of a batch.

        Args:
            batch: Whose states they are.
            states: [row position d] each, with its depth.

        Returns:
            Scores with one depth per state.

        Raises:
            ModelError: For states that are not finite.
        """
        visit = _ContinuationReader(self, batch) if self.form == "cloze" else _ChoiceReader(self, batch)
        for depth, hidden in states:
            visit(depth, hidden)
        reading = visit.reading()
        known = np.array([[index < len(row.targets) for index in range(reading.scores.shape[2])] for row in batch.rows])
        if not np.isfinite(reading.scores[:, known if self.form != "cloze" else known[:, :1]]).all():
            raise not_finite(self.model)
        return reading

    def mass_depths(self, n_depths: int) -> list[int]:
        """The depths at which the option mass is computed.

        Args:
            n_depths: How many are read.

        Returns:
            Their numbers, from 0.
        """
        return {"all": list(range(n_depths)), "last": [n_depths - 1], "none": []}[self.option_mass]


class _ChoiceReader:
    """Reads the last token of each row for the options' tokens (*letter*, *first_token*)."""

    def __init__(self, reader: Reader, batch: Batch) -> None:
        self.reader = reader
        device = reader.model.device
        last = [(sequence, path[-1]) for sequence, path in batch.places]
        self.sequences, self.positions = torch.tensor(last, device=device).T
        most = max(len(row.targets) for row in batch.rows)
        self.tokens = torch.tensor(
            [row.targets + (0,) * (most - len(row.targets)) for row in batch.rows], device=device
        )
        self.absent = torch.tensor(
            [[index >= len(row.targets) for index in range(most)] for row in batch.rows], device=device
        )
        self.readable: list[Tensor] = []
        self.mass: list[Tensor] = []

    def __call__(self, depth: int, hidden: Float[Tensor, "row position d"]) -> None:
        lens = self.reader.lens
        self.readable.append(lens.readable(depth, hidden[self.sequences, self.positions]))

    def reading(self) -> Reading:
        """Multiply the options' rows of the head with all depths at once."""
        unembedding = self.reader.lens.unembedding
        scores = unembedding.tokens(torch.stack(self.readable), self.tokens).masked_fill(self.absent, -torch.inf)
        mass = torch.full(scores.shape[:2], torch.nan, device=scores.device)
        depths = self.reader.mass_depths(len(self.readable))
        if depths:  # all of them at once: the head is read once
            normaliser = unembedding.log_normaliser(torch.cat([self.readable[depth] for depth in depths]))
            mass[depths] = (scores[depths].logsumexp(2) - normaliser.view(len(depths), -1)).exp()
        found = scores.masked_fill(self.absent, torch.nan).cpu().numpy()
        return Reading(found, mass.cpu().numpy(), np.zeros(mass.shape, bool))


class _ContinuationReader:
    """Reads the positions that predict a continuation, each for the token after it (*cloze*).

    No other position reaches the head.
    """

    def __init__(self, reader: Reader, batch: Batch) -> None:
        self.reader, self.n_rows = reader, len(batch.rows)
        device = reader.model.device
        states: dict[
            tuple[int, int], int
        ] = {}  # a position that several continuations are read at reaches the head once
        wanted: list[list[int]] = []
        read: list[tuple[int, int, int]] = []
        for number, (row, (sequence, path)) in enumerate(zip(batch.rows, batch.places, strict=True)):
            for place, target in zip(path[-len(row.targets) :], row.targets, strict=True):
                state = states.setdefault((sequence, place), len(states))
                wanted += [[]] if state == len(wanted) else []
                read.append((number, state, len(wanted[state])))
                wanted[state].append(target)
        most = max(map(len, wanted))
        self.targets = torch.tensor([tokens + [0] * (most - len(tokens)) for tokens in wanted], device=device)
        self.sequences, self.positions = torch.tensor(list(states), device=device).T
        self.row_of, *read_at = torch.tensor(read, device=device).T
        self.read_at = tuple(read_at)
        self.sums: list[Tensor] = []
        self.misses: list[Tensor] = []

    def __call__(self, depth: int, hidden: Float[Tensor, "row position d"]) -> None:
        lens = self.reader.lens
        readable = lens.readable(depth, hidden[self.sequences, self.positions])
        log_probability, greedy = lens.unembedding.predictions(readable, self.targets)
        nothing = torch.zeros(self.n_rows, device=readable.device)
        self.sums.append(nothing.index_add(0, self.row_of, log_probability[self.read_at]))
        self.misses.append(nothing.index_add(0, self.row_of, (~greedy[self.read_at]).float()))

    def reading(self) -> Reading:
        scores = torch.stack(self.sums)[..., None].cpu().numpy()
        greedy = torch.stack(self.misses).cpu().numpy() == 0
        return Reading(scores, np.full(greedy.shape, np.nan, np.float32), greedy)


def too_large(model: Model, tokens: int) -> ModelError:
    """The error for a single row that does not fit in memory.

    Args:
        model: The model.
        tokens: Length of the row.

    Returns:
        The error.
    """
    return ModelError(
        f"A single row of {tokens} tokens does not fit in memory on {model.device}: "
        "store the weights with --weights-dtype bfloat16, or use another --device."
    )


def not_finite(model: Model) -> ModelError:
    """The error for scores that are NaN or infinite.

    Args:
        model: The model.

    Returns:
        The error.
    """
    return ModelError(f"{model.name} gave scores that are NaN or infinite in {model.dtype}: use --dtype float32.")


def read_once(journal: Journal | None, name: str, read: Callable[[], Reading]) -> Reading:
    """Read, or take what a journal keeps.

    Args:
        journal: Where readings are kept. None for nowhere.
        name: The reading's key.
        read: Is called where nothing is kept.

    Returns:
        The reading, kept from now on.
    """
    return Reading.of(journalled(journal, name, lambda: read().arrays()))


def stacked(readings: Sequence[Reading]) -> Reading:
    """Join readings of one batch at successive depths.

    Args:
        readings: At least one.

    Returns:
        One reading.
    """
    return Reading(*(np.concatenate([getattr(r, name) for r in readings]) for name in ("scores", "mass", "greedy")))


def joined(first: Reading, second: Reading) -> Reading:
    """Join readings of two batches at the same depths.

    Args:
        first: Of one batch.
        second: Of the other, whose rows come after.

    Returns:
        One reading.
    """
    most = max(first.scores.shape[2], second.scores.shape[2])
    padded = [
        np.pad(r.scores, ((0, 0), (0, 0), (0, most - r.scores.shape[2])), constant_values=np.nan)
        for r in (first, second)
    ]
    both = (np.concatenate([getattr(r, name) for r in (first, second)], 1) for name in ("mass", "greedy"))
    return Reading(np.concatenate(padded, 1), *both)
