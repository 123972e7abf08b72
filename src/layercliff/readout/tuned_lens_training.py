"""Training of a tuned lens on running text (after Belrose et al. 2023), depth by depth.

Least squares maps a depth's states to the last depth's. Descent then lowers the KL divergence of the lens's
distribution from the model's own.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from layercliff import machine
from layercliff.errors import TaskError
from layercliff.models.model import Model
from layercliff.models.unembedding import Unembedding
from layercliff.progress import Report, silent
from layercliff.random_streams import RandomStream, generator
from layercliff.readout.encode import TokenRow
from layercliff.readout.encoded_task import passages
from layercliff.readout.gather import gather_states
from layercliff.readout.lens import LogitLens
from layercliff.readout.tuned_lens_file import LensProvenance, TrainedLens
from layercliff.run.directory import Journal, key
from layercliff.tasks import text as texts

RIDGES = (1e-4, 1e-2, 1e-1, 1.0, 10.0)
"""Penalties on the map between standardised features. The best on held-out passages is taken."""

LIKELY, OTHERS = (
    2048,
    2048,
)  # tokens that a step of descent looks at: the likeliest in the text, and a fresh draw of the others
BATCH = 128  # positions of a step
RATE = 3e-4  # of Adam, falling to 0; in units of the last depth's root mean square
LOOK = 20  # steps from one look at the passages set aside to the next
HELD_OUT = 128  # positions at which the loss of the finished lens is measured


@dataclass(frozen=True)
class TrainingStates:
    """States of one depth, from different passages.

    Attributes:
        fitted: [n d] The map is fitted to these.
        choosing: [m d] The penalty, and when to stop, is chosen on these.
        held_out: [k d] The result is measured on these.
    """

    fitted: Float[Tensor, "n d"]
    choosing: Float[Tensor, "m d"]
    held_out: Float[Tensor, "k d"]


@dataclass(frozen=True)
class LensTraining:
    """What a lens is trained on, and how.

    Attributes:
        source: Name of the text.
        text: Passages.
        positions: Tokens that are used.
        steps: Steps of descent per depth.
        seed: Draws the passages.
    """

    source: str
    text: Sequence[str]
    positions: int
    steps: int
    seed: int


def train(
    model: Model,
    wanted: LensTraining,
    batch_tokens: int,
    journal: Journal | None = None,
    report: Report = silent,
) -> TrainedLens:
    """Train a map for each depth 0..L-1.

    First tokens are left out: many models keep an attention sink there. One passage in ten chooses the penalty and
    when to stop. One measures the result. All states of all depths are held in memory.

    Args:
        model: The model.
        wanted: The text, and how to train.
        batch_tokens: Tokens of a batch at most.
        journal: Keeps finished depths. None for nowhere.
        report: Is told of progress.

    Returns:
        The maps, and what they are worth.

    Raises:
        TaskError: For too little text.
    """
    text, steps, seed = wanted.text, wanted.steps, wanted.seed
    rows = _rows(model, text, wanted.positions, seed)
    about = ("tuned lens", model.revision, model.dtype, texts.digest(text), wanted.positions, steps, seed)
    states = gather_states(model, rows, [range(1, len(row.tokens)) for row in rows], batch_tokens, report)
    part = np.repeat(np.arange(len(rows)) % 10, [len(row.tokens) - 1 for row in rows])
    at = partial(_states_at, states, part, model.device)
    last = at(model.n_layers)
    unembedding = model.anatomy.unembedding
    unembedding = replace(unembedding, final_norm=copy.deepcopy(unembedding.final_norm))  # one that takes gradients
    likely = _likely(unembedding, last.fitted)
    maps = []
    for depth in range(model.n_layers):
        report("tuned lens", depth, model.n_layers)
        found = journal.get(key(*about, depth)) if journal else None
        if found is None:
            rng = generator(RandomStream.TUNED_LENS, seed, depth)
            weight, bias, ridge = translator(unembedding, at(depth), last, likely, steps, rng)
            found = {"weight": weight.cpu().numpy(), "bias": bias.cpu().numpy(), "ridge": np.array(ridge)}
            if journal:
                journal.put(key(*about, depth), found)
        maps.append(found)
    report("tuned lens", model.n_layers, model.n_layers)
    return _measured(model, wanted, maps, len(part), [at(depth).held_out for depth in range(model.n_layers + 1)])


def _measured(
    model: Model,
    wanted: LensTraining,
    maps: Sequence[Mapping[str, np.ndarray]],
    positions: int,
    states: Sequence[Float[Tensor, "k d"]],
) -> TrainedLens:
    """The maps as a lens, with its losses on the held-out `states` of every depth."""
    held_out = min(HELD_OUT, len(states[-1]))
    trained = TrainedLens(
        np.stack([found["weight"] for found in maps]),
        np.stack([found["bias"] for found in maps]),
        LensProvenance(
            model.name,
            model.revision,
            model.dtype,
            wanted.source,
            texts.digest(wanted.text),
            positions,
            held_out,
            wanted.steps,
            wanted.seed,
            tuple(float(found["ridge"]) for found in maps),
            (),
            (),
            machine.versions(),
        ),
    )
    losses = _losses(model, trained, [state[:held_out] for state in states])
    return replace(trained, provenance=replace(trained.provenance, logit=losses[0], tuned=losses[1]))


def _states_at(
    states: Float[np.ndarray, "depth n d"], part: Int[np.ndarray, " n"], device: torch.device, depth: int
) -> TrainingStates:
    """The states of a depth, by the tenth of the passages that they are in."""
    found = torch.from_numpy(states[depth]).to(device)
    return TrainingStates(*(found[torch.from_numpy(where)] for where in (part > 1, part == 0, part == 1)))


def _rows(model: Model, text: Sequence[str], positions: int, seed: int) -> list[TokenRow]:
    """Passages in an order drawn by `seed`, until they hold `positions` positions after their first."""
    order = generator(RandomStream.TUNED_LENS, seed).permutation(len(text))
    found: list[TokenRow] = []
    for begin in range(0, len(order), 256):
        some = passages(model, [text[index] for index in order[begin : begin + 256]])
        for row in (row for row in some if len(row.tokens) > 1):
            found.append(row)
            positions -= len(row.tokens) - 1
            if positions <= 0 and len(found) > 2:
                return found
    if len(found) < 3:
        raise TaskError(
            f"The text has {len(found)} passages of three tokens or more: a tuned lens needs one to fit, one to "
            "choose and one to measure, and far more to be good."
        )
    return found


@torch.no_grad()
def _likely(unembedding: Unembedding, last: Float[Tensor, "n d"]) -> Int[Tensor, " vocabulary"]:
    """All tokens, the likeliest in the text first."""
    return unembedding.mean_probabilities(unembedding.normed(last[:: max(1, len(last) // 128)])).argsort(
        descending=True
    )


@torch.inference_mode()
def _losses(
    model: Model, trained: TrainedLens, states: Sequence[Float[Tensor, "n d"]]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mean KL divergence of the logit lens and of the trained one from the model's own distribution, per depth."""
    unembedding = model.anatomy.unembedding
    lenses = (LogitLens(unembedding), trained.lens(model))
    read = [lens.readable(depth, state) for lens in lenses for depth, state in enumerate(states[:-1])]
    found = unembedding.divergences(unembedding.normed(states[-1]), torch.stack(read)).mean(1).tolist()
    return tuple(found[: len(states) - 1]), tuple(found[len(states) - 1 :])


def translator(
    unembedding: Unembedding,
    states: TrainingStates,
    last: TrainingStates,
    likely: Int[Tensor, " vocabulary"],
    steps: int,
    rng: np.random.Generator,
) -> tuple[Float[Tensor, "d d"], Float[Tensor, " d"], float]:
    """Fit the map ``h + A h + b`` of one depth.

    First least squares. A position is weighted by one over the squared norm of its last state: its relative error
    counts. The penalty shrinks A towards 0, the logit lens.

    Then Adam lowers the KL divergence from the model's own distribution. It runs over the `LIKELY` first tokens and a
    fresh draw of the others (sampled softmax, Jean et al. 2015). The best map on the choosing states is kept.

    Args:
        unembedding: The model's head.
        states: Those of the depth.
        last: Those of the last depth, at the same positions.
        likely: [vocabulary] Ids, the likeliest in the text first.
        steps: Steps of Adam.
        rng: Draws positions and tokens.

    Returns:
        A [d d], b [d] and the chosen penalty.
    """
    mean, spread, matrix, shift, ridge = least_squares(states, last)
    mean, spread, matrix, shift = (t.float() for t in (mean, spread, matrix, shift))
    unit = last.fitted.square().mean().sqrt()
    matrix, shift = (matrix / unit).requires_grad_(), (shift / unit).requires_grad_()
    loss_of = partial(_divergence, _Basis(unembedding, likely, mean, spread, unit))
    look = partial(_chosen_loss, loss_of, states.choosing[: 4 * BATCH], last.choosing[: 4 * BATCH])
    best = (look(matrix, shift), matrix.detach().clone(), shift.detach().clone())
    optimiser = torch.optim.Adam([matrix, shift])
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = RATE * (1 - step / steps)
        batch = torch.from_numpy(rng.integers(0, len(states.fitted), BATCH)).to(unit.device)
        loss = loss_of(matrix, shift, states.fitted[batch], last.fitted[batch], rng)
        matrix.grad, shift.grad = torch.autograd.grad(loss, (matrix, shift))
        optimiser.step()
        if (step + 1) % LOOK == 0 or step + 1 == steps:
            tried = (look(matrix, shift), matrix.detach().clone(), shift.detach().clone())
            best = min(best, tried, key=lambda found: found[0])
    _, matrix, shift = best
    weight = (unit * matrix / spread[:, None]).T
    return weight, unit * shift - weight @ mean, ridge


@dataclass(frozen=True)
class _Basis:
    """What a map is expressed in: standardised features in, units of the last depth's size out."""

    unembedding: Unembedding
    likely: Int[Tensor, " vocabulary"]
    mean: Float[Tensor, " d"]
    spread: Float[Tensor, " d"]
    unit: Tensor


def _divergence(
    basis: _Basis,
    matrix: Float[Tensor, "d d"],
    shift: Float[Tensor, " d"],
    before: Float[Tensor, "n d"],
    after: Float[Tensor, "n d"],
    rng: np.random.Generator,
) -> Tensor:
    """The mean KL divergence of what the map reads from the model's own distribution, over sampled tokens."""
    unembedding = basis.unembedding
    tokens, weight = _drawn(basis.likely, rng)
    read = unembedding.normed(before + basis.unit * ((before - basis.mean) / basis.spread @ matrix + shift))
    own, found = (
        (unembedding.tokens(normed, tokens.expand(len(normed), -1)) + weight).log_softmax(-1)
        for normed in (unembedding.normed(after), read)
    )
    return (own.exp() * (own - found)).sum(-1).mean()


@torch.no_grad()
def _chosen_loss(
    loss_of: Callable[..., Tensor],
    before: Float[Tensor, "n d"],
    after: Float[Tensor, "n d"],
    matrix: Float[Tensor, "d d"],
    shift: Float[Tensor, " d"],
) -> float:
    """The loss on the choosing states, with the same tokens at every call."""
    return float(loss_of(matrix, shift, before, after, generator(RandomStream.TUNED_LENS, None)))


def least_squares(
    states: TrainingStates, last: TrainingStates
) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"], Float[Tensor, "d d"], Float[Tensor, " d"], float]:
    """The ridge regression from a depth's states to the last depth's, in float64.

    Matrix and shift predict ``last - state`` from standardised features. The penalty does best on the choosing
    states.

    Args:
        states: Those of the depth.
        last: Those of the last depth, at the same positions.

    Returns:
        Mean [d] and spread [d] of the features, matrix [feature output], shift [output] and penalty.
    """
    before, after, aside, aside_after = (
        t.double() if t.device.type != "mps" else t
        for t in (states.fitted, last.fitted, states.choosing, last.choosing)
    )
    weight = 1 / after.square().sum(1, keepdim=True)
    weight = weight / weight.sum()
    mean = (weight * before).sum(0)
    spread = (weight * (before - mean).square()).sum(0).sqrt()
    spread = spread.clamp_min(1e-6 * float(spread.max()) or 1.0)
    features, shift = (before - mean) / spread, (weight * (after - before)).sum(0)
    gram = features.T @ (weight * features)
    cross = features.T @ (weight * (after - before - shift))
    identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    tried = []
    for ridge in RIDGES:
        matrix = torch.linalg.solve(gram + ridge * identity, cross)
        missed = aside_after - aside - shift - (aside - mean) / spread @ matrix
        tried.append((float((missed.square().sum(1) / aside_after.square().sum(1)).mean()), ridge, matrix))
    _, ridge, matrix = min(tried, key=lambda found: found[0])
    return mean, spread, matrix, shift, ridge


def _drawn(
    likely: Int[Tensor, " vocabulary"], rng: np.random.Generator
) -> tuple[Int[Tensor, " token"], Float[Tensor, " token"]]:
    """Tokens that represent the vocabulary, and the log of how many each represents."""
    others = len(likely) - LIKELY
    if others <= OTHERS:
        return likely, torch.zeros(len(likely), device=likely.device)
    drawn = torch.from_numpy(LIKELY + rng.choice(others, OTHERS, replace=False, shuffle=False)).to(likely.device)
    weight = torch.zeros(LIKELY + OTHERS, device=likely.device)
    weight[LIKELY:] = np.log(others / OTHERS)
    return torch.cat([likely[:LIKELY], likely[drawn]]), weight
