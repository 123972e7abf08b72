"""Assess a pruned model beside the dense one: size, speed, held-out text, what it writes."""

import math
import time
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from layercliff.errors import RunError
from layercliff.metrics.perplexity import perplexity
from layercliff.metrics.repetition import repetition
from layercliff.metrics.speed import Speed, speed
from layercliff.models import timing
from layercliff.models.merged_blocks import NOTHING, Blends
from layercliff.models.model import Model
from layercliff.models.surgery import pruned
from layercliff.models.timing import TURN, Timings
from layercliff.progress import Report, silent
from layercliff.pruning.assessment import Assessment, Completion
from layercliff.readout import likelihood
from layercliff.readout.tokens import of_model, vocabulary
from layercliff.tasks import prose

LENGTH = 40  # tokens read of each paragraph
SCORED = 20  # the last so many of them are predicted
NEW_TOKENS = 24  # tokens of a completion
REPEATS = 5  # of a prompt, with each model
PROMPT_TOKENS = {"cpu": 48, "cuda": 512, "mps": 256}  # enough to keep the device busy, and no more
READ_BYTES = {"cpu": 6e10}
"""Bytes of weights that completions may read in all, with one opening at least. Elsewhere all are continued."""


def assess(
    model: Model,
    kept: Sequence[int],
    text: Sequence[str] = prose.PARAGRAPHS,
    seed: int = 0,
    *,
    blends: Blends = NOTHING,
    report: Report = silent,
) -> Assessment:
    """Compare a pruned model with the dense one. `model` is as before afterwards.

    Perplexity is that of tokens 21 to 40 of each paragraph, given those before. Its intervals are from a bootstrap over
    paragraphs. Speeds are measured in turns, after a warm-up, on the model's device.

    Args:
        model: The dense model.
        kept: Dense indices of the blocks that the pruned model keeps.
        text: Paragraphs of held-out text.
        seed: Draws the paragraphs of the intervals.
        blends: Those of the kept blocks that are merged.
        report: Is told of progress.

    Returns:
        Size, speed, perplexity and completions of both.

    Raises:
        RunError: For blocks the model does not have.
        TaskError: For a text too short.
        ModelError: Where the model's configuration cannot express the pruning.
    """
    begin = time.perf_counter()
    kept = _checked(tuple(kept), model.n_layers)
    dense_size = _size(model.network)
    with pruned(model.network, kept, blends):
        pruned_size = _size(model.network)
    rows = likelihood.rows(text, model.tokenizer, LENGTH, SCORED, model.max_positions, vocabulary(model.network))
    scores = likelihood.log_likelihoods(model, kept, rows, blends, report)
    report("timing prompts", 0, 1)
    prompt = timing.prompt(model, kept, _prompt(model, text), REPEATS, blends)
    report("timing prompts", 1, 1)
    generation, texts, completions = _completions(model, kept, blends, dense_size[1], report)
    return Assessment(
        kept=kept,
        n_layers=model.n_layers,
        seed=seed,
        device=str(model.device),
        threads=torch.get_num_threads(),
        weights_dtype=model.weights_dtype,
        parameters_dense=dense_size[0],
        parameters_pruned=pruned_size[0],
        weight_bytes_dense=dense_size[1],
        weight_bytes_pruned=pruned_size[1],
        prompt=_speed(prompt),
        generation=_speed(generation),
        perplexity=perplexity(scores, np.array([len(row.targets) for row in rows]), seed=seed),
        completions=completions,
        repetition_dense=repetition([dense for dense, _ in texts]),
        repetition_pruned=repetition([small for _, small in texts]),
        seconds=round(time.perf_counter() - begin, 2),
    )


def _checked(kept: tuple[int, ...], n_layers: int) -> tuple[int, ...]:
    """The blocks. Raises `RunError` for some that are not there, or not in their order."""
    if not kept or list(kept) != sorted(set(kept)) or not 0 <= kept[0] <= kept[-1] < n_layers:
        raise RunError(
            f"The blocks {', '.join(map(str, kept)) or 'none'} cannot be kept: "
            f"name some of 0-{n_layers - 1}, each once, in their order."
        )
    return kept


def _completions(
    model: Model, kept: tuple[int, ...], blends: Blends, weight_bytes: int, report: Report
) -> tuple[Timings, tuple[tuple[tuple[int, ...], tuple[int, ...]], ...], tuple[Completion, ...]]:
    """Times of writing, and what was written by the dense and the pruned model: as tokens and as text."""
    report("writing completions", 0, 1)
    most = READ_BYTES.get(model.device.type, math.inf) / (2 * NEW_TOKENS * weight_bytes)
    openings = prose.OPENINGS[: max(1, int(min(most, len(prose.OPENINGS))))]
    ids = of_model(model, openings)
    generation, written = timing.generation(model, kept, ids, NEW_TOKENS // TURN - 1, blends)
    texts = tuple((_ended(model, dense), _ended(model, small)) for dense, small in written)
    report("writing completions", 1, 1)
    completions = tuple(
        Completion(opening, _decoded(model.tokenizer, dense), _decoded(model.tokenizer, small))
        for opening, (dense, small) in zip(openings, texts, strict=True)
    )
    return generation, texts, completions


def _size(network: PreTrainedModel) -> tuple[int, int]:
    """Parameters and their bytes. Weights that modules share are counted once."""
    parameters = list(network.parameters())
    return sum(p.numel() for p in parameters), sum(p.numel() * p.element_size() for p in parameters)


def _prompt(model: Model, text: Sequence[str]) -> Int[Tensor, " position"]:
    """As many tokens of the text, over and over, as suit the device."""
    wanted = PROMPT_TOKENS.get(model.device.type, PROMPT_TOKENS["cpu"])
    wanted = min(wanted, model.max_positions or wanted)
    ids: list[int] = []
    for part in text:  # no more of a long text than is needed
        ids += of_model(model, [part])[0]
        if len(ids) >= wanted:
            break
    return torch.tensor((ids * wanted)[:wanted])


def _speed(measured: Timings) -> Speed:
    return speed(measured.tokens, np.array(measured.dense), np.array(measured.pruned))


def _ended(model: Model, tokens: tuple[int, ...]) -> tuple[int, ...]:
    """The tokens before the model's own end token."""
    known = getattr(model.network.generation_config, "eos_token_id", None)
    ends = {known} if isinstance(known, int) else set(known or ())
    return tokens[: next((place for place, token in enumerate(tokens) if token in ends), len(tokens))]


def _decoded(tokenizer: PreTrainedTokenizerBase, tokens: tuple[int, ...]) -> str:
    return str(tokenizer.decode(list(tokens), skip_special_tokens=True))
