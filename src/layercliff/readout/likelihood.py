"""The log-likelihood of running text under the dense and the pruned model, paragraph by paragraph."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from layercliff.errors import TaskError
from layercliff.models.blockwise_pass import BlockwisePass
from layercliff.models.merged_blocks import NOTHING, Blends, shared_blocks
from layercliff.models.merged_weights import NewWeights, make, weights_replaced
from layercliff.models.model import Model
from layercliff.progress import Report, silent
from layercliff.readout import logit_agreement
from layercliff.readout.batches import plan
from layercliff.readout.encode import TokenRow
from layercliff.readout.lens import LogitLens
from layercliff.readout.read import Reader
from layercliff.readout.tokens import tokenise


def rows(
    text: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    length: int,
    scored: int,
    max_positions: int | None = None,
    vocabulary: int | None = None,
) -> tuple[TokenRow, ...]:
    """The beginning of each paragraph as a row, of which the last tokens are targets. The first token never is.

    Args:
        text: Paragraphs. Those of a single token are left out and the others numbered.
        tokenizer: The model's.
        length: Tokens of a paragraph that are read. Shorter ones, or the model's limit, give fewer.
        scored: So many of these are targets, at most.
        max_positions: Tokens that the model reads at most. None for no limit.
        vocabulary: Number of ids that the model knows. None for any.

    Returns:
        One row per paragraph.

    Raises:
        TaskError: Where no paragraph is left.
    """
    cut = [ids[: min(length, max_positions or length)] for ids in tokenise(tokenizer, text, vocabulary=vocabulary)]
    usable = [tokens for tokens in cut if len(tokens) > 1]
    if not usable:
        raise TaskError("The text has no paragraph of two tokens or more: give longer paragraphs.")
    return tuple(
        TokenRow(index, 0, tuple(tokens[:-1]), tuple(tokens[1:][-scored:])) for index, tokens in enumerate(usable)
    )


@torch.inference_mode()
def log_likelihoods(
    model: Model, kept: Sequence[int], rows: Sequence[TokenRow], blends: Blends = NOTHING, report: Report = silent
) -> Float[np.ndarray, "2 row"]:
    """The summed log-likelihood of each row's targets.

    Shared blocks at the start run once. Only positions that predict a target reach the head.

    Args:
        model: The dense model.
        kept: The blocks that the pruned model keeps.
        rows: What is read.
        blends: Those of the pruned model's blocks that are merged.
        report: Is told of progress.

    Returns:
        [2 row] In nats: the dense model's, then the pruned one's.

    Raises:
        ModelError: For states that are not finite.
    """
    reader = Reader(model, LogitLens(model.anatomy.unembedding), "cloze", "none")
    found = np.zeros((2, len(rows)))
    made = make(model.network, blends)
    batches = plan(rows, model.batch_tokens(), logit_agreement.of(model, rows).sharing, apart="rows")
    for done, batch in enumerate(batches):
        report("reading held-out text", done, len(batches))
        passage = model.anatomy.enter(batch.levels(model.device))
        with model.anatomy.computing():
            states = _last_states(passage, model.n_layers, kept, made, blends)
            reading = reader.read_states(batch, ((model.n_layers, state) for state in states))
        for index, row in enumerate(batch.rows):
            found[:, row.question] = reading.scores[:, index, 0]
    report("reading held-out text", len(batches), len(batches))
    return found


def _last_states(
    passage: BlockwisePass, n_layers: int, kept: Sequence[int], made: NewWeights, blends: Blends
) -> Iterator[Float[Tensor, "row position d"]]:
    """The last depth of the dense model, then of the pruned one."""
    common = shared_blocks(kept, range(n_layers), blends)
    stream = passage.embedded
    for run in passage.through(range(common)):
        stream = run(stream)
    for rest, weights in ((range(common, n_layers), {}), (kept[common:], made)):
        branch = stream
        with weights_replaced(weights):
            for run in passage.through(rest):
                branch = run(branch)
        yield branch.levels[-1]
