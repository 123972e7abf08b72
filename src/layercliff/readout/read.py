"""One pass of a batch through the model, read at every depth."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from layercliff.choices import Format, OptionMass
from layercliff.errors import ModelError
from layercliff.models.model import Model
from layercliff.models.passage import Passage
from layercliff.progress import Note, mute
from layercliff.readout.batches import Batch
from layercliff.readout.lens import Lens

States = Callable[[Passage, Batch], Iterable[tuple[int, Float[Tensor, "row position d"]]]]
"""What is done to a batch before its first block: the states to read, each with the depth it is read as."""


@dataclass(frozen=True)
class Reading:
    """What a batch gave, depth by row.

    `scores`: *letter*, *first_token*: the options' logits, ``[depth, row, option]``, padded with nan; *cloze*: the summed
    log-probability of the row's continuation, ``[depth, row, 1]``. `mass`: probability the whole vocabulary's softmax gives
    to the options together, ``[depth, row]``, nan where it was not asked for.
    """

    scores: Float[np.ndarray, "depth row option"]
    mass: Float[np.ndarray, "depth row"]


class Reader:
    """Reads batches of one format through a lens. Out of memory, it halves the batch and goes on, telling `note` once."""

    def __init__(
        self,
        model: Model,
        lens: Lens,
        form: Format,
        option_mass: OptionMass = "last",
        note: Note = mute,
    ) -> None:
        self.model, self.lens, self.form, self.option_mass, self.note = model, lens, form, option_mass, note
        self.budget: int | None = None

    def read(self, batch: Batch, kept: Sequence[int] | States | None = None) -> Reading:
        """Run `batch` through the blocks `kept` (default: all) and read every depth, or read the states that `kept` makes of it.

        Raises `ModelError` when a single row does not fit in memory, or for states that are not finite.
        """
        if self.budget is not None and batch.padded_tokens > self.budget and len(batch.rows) > 1:
            return joined(*(self.read(half, kept) for half in batch.halves()))
        try:
            return self._read_whole(batch, kept)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
        if len(batch.rows) == 1:
            raise ModelError(
                f"A single row of {batch.padded_tokens} tokens does not fit in memory on {self.model.device}: store the weights with --weights-dtype bfloat16, or use another --device."
            )
        if self.budget is None:
            self.note(
                f"Out of memory with {batch.padded_tokens} tokens at once: going on with half of that. Set --batch-tokens {batch.padded_tokens // 2} next time."
            )
        self.budget = batch.padded_tokens // 2
        if self.model.device.type == "cuda":
            torch.cuda.empty_cache()
        return self.read(batch, kept)

    @torch.inference_mode()
    def _read_whole(self, batch: Batch, kept: Sequence[int] | States | None) -> Reading:
        passage = self.model.anatomy.enter(batch.levels(self.model.device))
        with self.model.anatomy.computing():
            return self.read_states(batch, kept(passage, batch) if callable(kept) else passage.depths(kept))

    def read_states(self, batch: Batch, states: Iterable[tuple[int, Float[Tensor, "row position d"]]]) -> Reading:
        """Read states of `batch`, each as of its depth; the reading has one row per state. Raises `ModelError` for states that are not finite."""
        visit = _ContinuationVisit(self, batch) if self.form == "cloze" else _ChoiceVisit(self, batch)
        for depth, hidden in states:
            visit(depth, hidden)
        reading = visit.reading()
        known = np.array([[index < len(row.targets) for index in range(reading.scores.shape[2])] for row in batch.rows])
        if not np.isfinite(reading.scores[:, known if self.form != "cloze" else known[:, :1]]).all():
            raise ModelError(
                f"{self.model.name} gave scores that are NaN or infinite in {self.model.dtype}: use --dtype float32."
            )
        return reading

    def mass_depths(self, n_depths: int) -> list[int]:
        """The depths at which the option mass is wanted."""
        return {"all": list(range(n_depths)), "last": [n_depths - 1], "none": []}[self.option_mass]


class _ChoiceVisit:
    """Reads the last token of each row for the options' tokens (*letter*, *first_token*)."""

    def __init__(self, reader: Reader, batch: Batch) -> None:
        self.reader = reader
        device = reader.model.device
        self.rows = torch.arange(len(batch.rows), device=device)
        self.last = torch.tensor([len(row.tokens) - 1 - batch.shared for row in batch.rows], device=device)
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
        self.readable.append(lens.readable(depth, hidden[self.rows, self.last]))

    def reading(self) -> Reading:
        """Multiply the options' rows of the head with all depths at once."""
        unembedding = self.reader.lens.unembedding
        scores = unembedding.tokens(torch.stack(self.readable), self.tokens).masked_fill(self.absent, -torch.inf)
        mass = torch.full(scores.shape[:2], torch.nan, device=scores.device)
        depths = self.reader.mass_depths(len(self.readable))
        if depths:  # all of them at once: the head is read once
            normaliser = unembedding.log_normaliser(torch.cat([self.readable[depth] for depth in depths]))
            mass[depths] = (scores[depths].logsumexp(2) - normaliser.view(len(depths), -1)).exp()
        return Reading(scores.masked_fill(self.absent, torch.nan).cpu().numpy(), mass.cpu().numpy())


class _ContinuationVisit:
    """Reads the positions that predict a continuation, each for the token that follows (*cloze*); no other position reaches the head."""

    def __init__(self, reader: Reader, batch: Batch) -> None:
        self.reader, self.n_rows = reader, len(batch.rows)
        device = reader.model.device
        lengths = [len(row.targets) for row in batch.rows]
        self.rows = torch.repeat_interleave(torch.arange(self.n_rows), torch.tensor(lengths)).to(device)
        self.positions = torch.tensor(
            [
                p - batch.shared
                for row in batch.rows
                for p in range(len(row.tokens) - len(row.targets), len(row.tokens))
            ],
            device=device,
        )
        self.targets = torch.tensor([target for row in batch.rows for target in row.targets], device=device)
        self.sums: list[Tensor] = []

    def __call__(self, depth: int, hidden: Float[Tensor, "row position d"]) -> None:
        lens = self.reader.lens
        readable = lens.readable(depth, hidden[self.rows, self.positions])
        log_probability = lens.unembedding.tokens(readable, self.targets[:, None])[
            :, 0
        ] - lens.unembedding.log_normaliser(readable)
        self.sums.append(torch.zeros(self.n_rows, device=readable.device).index_add_(0, self.rows, log_probability))

    def reading(self) -> Reading:
        scores = torch.stack(self.sums)[..., None].cpu().numpy()
        return Reading(scores, np.full(scores.shape[:2], np.nan, np.float32))


def out_of_memory(error: Exception) -> bool:
    """CUDA raises its own class; on the CPU torch raises a RuntimeError whose text names the allocator."""
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or "can't allocate memory" in str(error)
        or "not enough memory" in str(error)
    )


def joined(first: Reading, second: Reading) -> Reading:
    most = max(first.scores.shape[2], second.scores.shape[2])
    padded = [
        np.pad(r.scores, ((0, 0), (0, 0), (0, most - r.scores.shape[2])), constant_values=np.nan)
        for r in (first, second)
    ]
    return Reading(np.concatenate(padded, 1), np.concatenate([first.mass, second.mass], 1))
