"""The pass of all tasks' batches through a model, with a journal of finished batches."""

from collections.abc import Iterator, Sequence
from functools import partial

from layercliff.choices import OptionMass
from layercliff.models.model import Model
from layercliff.progress import Note, Report
from layercliff.readout.batches import Batch
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.lens import LogitLens
from layercliff.readout.read import Reader, Reading, read_once
from layercliff.run.directory import Journal, key
from layercliff.run.subject import Subject


class Pass:
    """Reads tasks at every depth or at some, and counts what that took."""

    def __init__(
        self,
        model: Model,
        subject: Subject,
        journal: Journal | None,
        report: Report,
        note: Note,
        *,
        option_mass: OptionMass = "none",
        depths: Sequence[int] | None = None,
    ) -> None:
        self.model, self.subject, self.journal, self.report, self.note = model, subject, journal, report, note
        self.option_mass, self.depths = option_mass, depths
        self.total = self.done = self.led = self.tokens = self.batches = 0

    def readings(
        self, parts: Sequence[EncodedTask], budget: int
    ) -> Iterator[tuple[EncodedTask, Iterator[tuple[Batch, Reading]]]]:
        """Every task with the readings of its batches of at most `budget` tokens, each to be used before the next is
        taken."""
        planned = [part.batches(budget) for part in parts]
        self.total = sum(batch.padded_tokens for batches in planned for batch in batches)
        for part, batches in zip(parts, planned, strict=True):
            yield part, self._read(part, batches)

    def _read(self, part: EncodedTask, batches: Sequence[Batch]) -> Iterator[tuple[Batch, Reading]]:
        lens = LogitLens(self.model.anatomy.unembedding)
        reader = Reader(self.model, lens, part.reading, self.option_mass, self.note, depths=self.depths)
        where = _where(self.depths, self.model.n_layers)
        for batch in batches:
            name = key(self.subject.model_dump(), part.form, self.depths, self.option_mass, lens.name, batch)
            reading = read_once(self.journal, name, partial(reader.read, batch))
            self.done += batch.padded_tokens
            self.led += batch.lead if batch is not batches[0] else 0
            self.tokens += sum(len(row.tokens) for row in batch.rows)
            self.batches += 1
            self.report(f"reading the model {where}", self.done, self.total)
            yield batch, reading

    def cost(self) -> dict[str, int]:
        """What was run: tokens of the rows, tokens that passed the blocks (what all batches of a task begin with counts
        once), batches, and blocks times batches."""
        passes = self.batches * self.model.n_layers
        return {
            "tokens": self.tokens,
            "padded_tokens": self.done - self.led,
            "batches": self.batches,
            "block_passes": passes,
        }


def _where(depths: Sequence[int] | None, n_layers: int) -> str:
    """The depths that are read, in words."""
    if depths is None or len(depths) == n_layers + 1:
        return "at every depth"
    return "at the last depth" if tuple(depths) == (n_layers,) else f"at {len(depths)} depths"
