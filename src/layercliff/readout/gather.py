"""The states at some positions of every question, recorded at every depth."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from layercliff.models.blockwise_pass import BlockwisePass
from layercliff.models.model import Model
from layercliff.progress import Report, silent
from layercliff.random_streams import RandomStream, generator
from layercliff.readout import logit_agreement
from layercliff.readout.batches import Batch, plan, read_from
from layercliff.readout.encode import TokenRow
from layercliff.readout.encoded_task import EncodedTask
from layercliff.run.directory import key


@dataclass
class StateGatherer:
    """Records states of a pruned model at some places of every question.

    Of *cloze* rows, those of the first option are taken: in most tasks its prompt is every option's. Batches must
    share nothing.

    Attributes:
        kept: The blocks that are run.
        places: Positions by question.
        found: States by question, one [place d] per depth.
    """

    kept: Sequence[int]
    places: Mapping[int, Sequence[int]]
    found: dict[int, list[Float[np.ndarray, "place d"]]] = field(default_factory=dict)

    def __call__(self, passage: BlockwisePass, batch: Batch) -> Iterator[tuple[int, Float[Tensor, "row position d"]]]:
        """Every depth's state, as `BlockwisePass.depths` gives it."""
        firsts = zip(batch.rows, batch.places, strict=True)
        sequences = {row.question: sequence for row, (sequence, _) in firsts if row.option in (None, 0)}
        self.found |= {question: [] for question in sequences}
        for depth, hidden in passage.depths(self.kept):
            for question, sequence in sequences.items():
                self.found[question].append(hidden[sequence, list(self.places[question])].float().cpu().numpy())
            yield depth, hidden

    def states(self, question: int) -> Float[np.ndarray, "depth place d"]:
        """The states of a question.

        Args:
            question: Its index.

        Returns:
            [depth place d] States.
        """
        return np.stack(self.found[question])


@torch.inference_mode()
def gather_states(
    model: Model, rows: Sequence[TokenRow], places: Sequence[Sequence[int]], batch_tokens: int, report: Report = silent
) -> Float[np.ndarray, "depth n d"]:
    """The model's states at every depth. The head is not run.

    Args:
        model: The model.
        rows: What is run.
        places: [row] Positions at which states are taken.
        batch_tokens: Tokens of a batch at most.
        report: Is told of progress.

    Returns:
        [depth n d] States, row after row.
    """
    numbered = [TokenRow(number, 0, row.tokens, row.targets) for number, row in enumerate(rows)]
    gather = StateGatherer(range(model.n_layers), dict(enumerate(places)))
    ends = np.cumsum([0, *map(len, places)])
    out = np.empty((0, 0, 0), np.float32)
    batches = plan(numbered, batch_tokens, logit_agreement.of(model, numbered).sharing, apart="rows")
    for done, batch in enumerate(batches):
        report("gathering states", done, len(batches))
        with model.anatomy.computing():
            for _ in gather(model.anatomy.enter(batch.levels(model.device)), batch):
                pass
        for number in gather.found:
            states = gather.states(number)
            if not out.size:
                out = np.empty((len(states), ends[-1], states.shape[-1]), np.float32)
            out[:, ends[number] : ends[number + 1]] = states
        gather.found.clear()
    report("gathering states", len(batches), len(batches))
    return out


def places(part: EncodedTask, tokens: int, seed: int) -> dict[int, list[int]]:
    """For each question, the last position of its prompt and some others.

    The last position decides. The others are drawn per question, from the positions after the prefix of all prompts.

    Args:
        part: The task as token rows.
        tokens: So many others at most.
        seed: Draws them.

    Returns:
        Positions by question, the last one first.
    """
    ends = min(row.tokens for row in part.rows), max(row.tokens for row in part.rows)  # the two that differ soonest
    lead = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False))))
    found = {}
    for row in part.rows:
        if row.option in (None, 0):
            last = read_from(row)
            question = int(key(part.task.name, part.questions[row.question].id)[:16], 16)
            rng = generator(RandomStream.TOKENS, seed, question)
            own = np.arange(min(lead, last), last + 1)
            found[row.question] = [last, *sorted(rng.permutation(own)[:tokens].tolist())]
    return found
