"""Gates on blocks: the derivative of the gold option's log-probability by each, for all blocks at once."""

from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call

from layercliff.errors import ModelError
from layercliff.metrics import decision
from layercliff.models.block_interface import hidden_state
from layercliff.models.blockwise_pass import BlockwisePass
from layercliff.models.model import Model
from layercliff.readout.batches import Batch
from layercliff.readout.encoded_task import EncodedTask
from layercliff.run.directory import Journal, journalled, key

PASSES = 4
"""Dense passes: one for the states; then, block by block from the last, one forwards and one backwards (two)."""
POSITIONS = 64  # read at once on the way back: whole rows of logits are held for so many


def gradients(
    model: Model,
    part: EncodedTask,
    scores: Float[np.ndarray, "question option"],
    batch_tokens: int,
    journal: Journal | None = None,
    subject: object = None,
) -> Float[np.ndarray, "block question"]:
    """The derivative of each question's gold log-probability (nats, among its options) by the gate of every block.

    The gate g makes ``h + g (block(h) - h)`` of a block at every position. The derivative is taken at g = 1. Minus the
    derivative is what removing the block would do, to first order (after Molchanov et al. 2017, whose gates are of
    channels). At g = 1 it is the inner product of the block's update with the gradient by its output, so that one pass
    back serves all blocks.

    `scores` are the dense model's at its last depth, as `Trace` has them. Only one block's activations are held at a
    time. What is finished is kept in the journal. Raises `ModelError` for gradients that are not finite, and where
    more than the state passes between blocks, since a gate does not act on that.
    """
    if model.anatomy.wiring.beside:
        raise ModelError(
            f"The blocks of {model.name} hand on values beside the residual stream: what a gate on a block would do is "
            "not known from the stream alone, and this model cannot be forecast."
        )
    pull = _pull(scores, part)
    found = np.zeros((model.n_layers, len(part.questions)))
    for batch in part.batches(batch_tokens, "rows"):
        name = key("gates", subject, part.form, part.reading, batch)
        values = journalled(journal, name, partial(_of_batch, model, part, pull, batch))["values"]
        for sequence, question in {
            place: row.question for row, (place, _) in zip(batch.rows, batch.places, strict=True)
        }.items():
            found[:, question] += values[:, sequence]
    if not np.isfinite(found).all():
        raise ModelError(f"{model.name} gave gradients that are NaN or infinite in {model.dtype}: use --dtype float32.")
    return found


def _pull(scores: Float[np.ndarray, "question option"], part: EncodedTask) -> Float[np.ndarray, "question option"]:
    """The derivative of the gold option's log-probability by each option's score.

    It is 1 for the gold option and 0 for others, less the probability of each.
    """
    probabilities = decision.probabilities(scores[None], part.mask)[0]
    return np.asarray(np.eye(part.width)[part.gold] - probabilities)


def _of_batch(
    model: Model, part: EncodedTask, pull: Float[np.ndarray, "question option"], batch: Batch
) -> dict[str, Float[np.ndarray, "block sequence"]]:
    with torch.no_grad(), model.anatomy.computing():
        passage = model.anatomy.enter(batch.levels(model.device))
        states = [hidden for _, hidden in passage.depths()]
    back = _from_scores(model, part, pull, batch, states[-1])
    found = np.zeros((model.n_layers, len(states[-1])))
    for block in reversed(range(model.n_layers)):
        found[block] = (back * (states[block + 1] - states[block]).float()).sum((1, 2)).double().cpu().numpy()
        if block:
            back = _through(passage, block, states[block], back, model.anatomy.dtype)
    return {"values": found}


def _from_scores(
    model: Model,
    part: EncodedTask,
    pull: Float[np.ndarray, "question option"],
    batch: Batch,
    last: Float[Tensor, "row position d"],
) -> Float[Tensor, "row position d"]:
    """The gradient by the last depth's states, a few positions at a time."""
    whole = part.reading == "cloze"  # over the whole vocabulary; elsewhere what all options share cancels
    unembedding = model.anatomy.unembedding
    where: list[tuple[int, int]] = []
    tokens: list[tuple[int, ...]] = []
    weights: list[list[float]] = []
    for row, (sequence, path) in zip(batch.rows, batch.places, strict=True):
        if row.option is None:
            where.append((sequence, path[-1]))
            tokens.append(row.targets)
            weights.append(pull[row.question, : len(row.targets)].tolist())
        else:
            size = int(part.divisor[row.question, row.option])
            for place, target in zip(path[-len(row.targets) :], row.targets, strict=True):
                where.append((sequence, place))
                tokens.append((target,))
                weights.append([pull[row.question, row.option] / size])
    most = max(map(len, tokens))
    back = torch.zeros_like(last, dtype=torch.float32)
    for begin in range(0, len(where), POSITIONS):
        chunk = slice(begin, begin + POSITIONS)
        index = torch.tensor(where[chunk], device=last.device).unbind(1)
        token = torch.tensor([t + (0,) * (most - len(t)) for t in tokens[chunk]], device=last.device)
        weight = torch.tensor([w + [0.0] * (most - len(w)) for w in weights[chunk]], device=last.device)
        with torch.enable_grad():
            leaf = last[index].float().requires_grad_()
            normed = unembedding.normed(leaf)
            value = (unembedding.tokens(normed, token) * weight).sum()
            if whole:
                value = value - (unembedding.log_normaliser(normed) * weight.sum(1)).sum()
            (gradient,) = torch.autograd.grad(value, leaf)
        back.index_put_(index, gradient, accumulate=True)
    return back


def _through(
    passage: BlockwisePass,
    block: int,
    state: Float[Tensor, "row position d"],
    back: Float[Tensor, "row position d"],
    dtype: torch.dtype,
) -> Float[Tensor, "row position d"]:
    """The gradient by a block's input, from that by its output.

    Weights that are stored narrower are cast for as long as this takes.
    """
    module = passage.blocks[block]
    cast = {n: p.detach().to(dtype) if p.is_floating_point() else p.detach() for n, p in module.named_parameters()}
    _, args, kwargs = passage.calls[0][block]
    with torch.enable_grad():
        leaf = state.detach().requires_grad_()
        output = hidden_state(functional_call(module, cast, (leaf, *args), kwargs))
        (gradient,) = torch.autograd.grad(output, leaf, back.to(output.dtype))
    return gradient.float()
