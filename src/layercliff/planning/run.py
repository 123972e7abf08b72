"""What a trace and a path will take, from the model's configuration and the prompts alone.

It is said before any weight is loaded.
"""

import functools
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from layercliff.choices import Format
from layercliff.errors import LayercliffError, ModelError
from layercliff.models import adapters, gguf, loading, lookup, packaged
from layercliff.models.anatomy import find_blocks, text_config
from layercliff.models.loading import choose_device
from layercliff.models.model import DEFAULT_BATCH_TOKENS
from layercliff.models.surgery import sliced
from layercliff.planning.path import Part, PathPlan, along, rows_of_head
from layercliff.planning.spec import PlanSpec
from layercliff.pruning.iterative import tokens_at_once
from layercliff.pruning.path import last_step
from layercliff.readout import batches, encode, tokens
from layercliff.readout.encode import EncodedPrompts, TokenRow
from layercliff.readout.encoded_task import askable
from layercliff.run.resolved import drawn_tasks
from layercliff.run.verb import verb
from layercliff.tasks import prompts, splits
from layercliff.tasks.prompts import Prompt

CHARACTERS_PER_TOKEN = 4  # English text, where the tokenizer is not at hand


@dataclass(frozen=True)
class Plan:
    """The cost of a trace, and of a path beside it. Downloads take no time here.

    Attributes:
        model: The model.
        parameters: Number of its parameters.
        n_layers: Number of its blocks.
        download_bytes: What has to be fetched.
        questions: Questions that are asked.
        rows: Token rows that are run.
        tokens: Their tokens.
        padded_tokens: Tokens that pass through the blocks, padding included.
        tokens_estimated: Tokens were guessed from characters, without the tokenizer.
        n_batches: Batches of the trace.
        block_passes: Block passes of these batches.
        head_rows: Rows that the head multiplies.
        multiplications: Of the trace.
        weights_bytes: Memory for weights.
        activations_bytes: Memory for states.
        device: Where it would run.
        gflops: The measured matrix rate of this machine.
        seconds: Of the trace, at that rate.
        path: What a path costs.
        path_seconds: Of the path, at that rate.
    """

    model: str
    parameters: int
    n_layers: int
    download_bytes: int
    questions: int
    rows: int
    tokens: int
    padded_tokens: int
    tokens_estimated: bool
    n_batches: int
    block_passes: int
    head_rows: int
    multiplications: float
    weights_bytes: int
    activations_bytes: int
    device: str
    gflops: float
    seconds: float
    path: PathPlan
    path_seconds: float


@verb(PlanSpec, page=False)
def plan(spec: PlanSpec) -> Plan:
    """Count what `layercliff.trace` with the same arguments would do, and what `layercliff.prune` would do at most.

    The path is by an iterative criterion of questions. By default it is the whole path, of which `prune` walks what
    comes up to the collapse. No weight is read. So a model far too large for this machine can be planned for from its
    configuration.

    Raises `LayercliffError` like `layercliff.trace`.
    """
    assert isinstance(spec.model, str)
    config, tokenizer, download = _configuration(spec.model, spec.trust_remote_code)
    network = loading.skeleton(spec.model, config, spec.trust_remote_code)
    _, blocks = find_blocks(network)
    place = choose_device(spec.device)
    default = DEFAULT_BATCH_TOKENS.get(place.type, DEFAULT_BATCH_TOKENS["cpu"])
    budget = default if spec.batch_tokens is None else spec.batch_tokens
    n_layers, vocabulary = len(blocks), text_config(config).vocab_size
    removed = last_step(n_layers, spec.remove, spec.to_ratio, ())
    asked = _asked(spec, tokenizer, network)
    rows = [row for part in asked for row in part.rows]
    planned = [batch for part in asked for batch in batches.plan(part.rows, budget, share="branches")]
    head_rows = sum(rows_of_head(part.rows, part.form, n_layers, vocabulary, spec.option_mass) for part in asked)
    parameters = sum(p.numel() for p in network.parameters())
    in_blocks = sum(p.numel() for p in blocks.parameters())
    padded = sum(batch.padded_tokens for batch in planned)
    width = text_config(config).hidden_size
    active = _active(in_blocks, config)
    multiplications = float(padded) * active + float(head_rows) * width
    dtype = spec.dtype or "float32"
    computed, stored = getattr(torch, dtype), getattr(torch, spec.weights_dtype or dtype)
    rate = matrix_rate(place, computed)
    at_once = tokens_at_once(budget, spec.memory_bytes, width, n_layers)
    path = along(asked, n_layers, removed, at_once, budget, active / n_layers, width, vocabulary)
    widest = max((batch.padded_tokens for batch in planned), default=0)
    return Plan(
        model=spec.model,
        parameters=parameters,
        n_layers=n_layers,
        download_bytes=download,
        questions=sum(len({row.question for row in part.rows}) for part in asked),
        rows=len(rows),
        tokens=sum(len(row.tokens) for row in rows),
        padded_tokens=padded,
        tokens_estimated=tokenizer is None,
        n_batches=len(planned),
        block_passes=len(planned) * n_layers,
        head_rows=head_rows,
        multiplications=multiplications,
        weights_bytes=parameters * stored.itemsize
        + (0 if stored == computed else _largest(network, blocks) * computed.itemsize),
        activations_bytes=widest * _widest_features(blocks) * computed.itemsize * 4,
        device=str(place),
        gflops=rate / 1e9,
        seconds=2 * multiplications / rate,
        path=path,
        path_seconds=2 * path.multiplications / rate,
    )


def _asked(spec: PlanSpec, tokenizer: PreTrainedTokenizerBase | None, network: PreTrainedModel) -> list[Part]:
    """Every task as a trace asks it, in guessed tokens where the tokenizer is not at hand. Raises `LayercliffError`."""
    template = encode.chat_template(tokenizer) if spec.chat and tokenizer is not None else None
    longest = getattr(text_config(network.config), "max_position_embeddings", None)
    found = []
    for task, (drawn, examples) in zip(*drawn_tasks(spec), strict=True):
        form = spec.format or task.default_format
        questions = prompts.shown(task, drawn, form)
        asked = [
            prompts.ask(task, question, form, prompts.shown(task, shots, form), template)
            for question, shots in zip(questions, examples, strict=True)
        ]
        encoded = (
            encode.encode(asked, form, tokenizer, longest, tokens.vocabulary(network))
            if tokenizer is not None
            else _guess(asked, form)
        )
        kept = askable(encoded, len(questions), f"{task.name} can be asked as {form} of {spec.model}")
        halves = splits.halves([questions[index] for index in kept], spec.seed)
        names = [halves.get(question.id) for question in questions]
        found.append(Part(form, encoded.rows, [names[row.question] for row in encoded.rows]))
    return found


def _configuration(model: str, trust: bool) -> tuple[PretrainedConfig, PreTrainedTokenizerBase | None, int]:
    """The configuration, the tokenizer if at hand, and the bytes that a trace would download first."""
    source = lookup.resolve(model)
    more: dict[str, str] = {}
    if source.kind == "packaged":
        entry = packaged.models()[model]
        if not entry.cached:
            known = dict(entry.config)
            return AutoConfig.for_model(known.pop("model_type"), **known), None, entry.download_bytes
        location = str(entry.directory)
    elif source.kind == "step":
        located = lookup.locate(model)
        config = sliced(loading.configuration(model, located.location, trust), located.kept or ())
        return config, loading.tokenizer(model, located.location, trust), 0
    elif source.kind == "gguf":
        path = Path(model).expanduser()
        gguf.check(path)
        location, more = str(path.parent), {"gguf_file": path.name}
    elif source.kind == "hub":
        location = str(lookup.from_hub(model, weights=False))
    else:
        location = str(Path(model).expanduser())
    if not more and not (Path(location) / "config.json").exists():  # only an adapter
        return _configuration(adapters.base_of(Path(location)), trust)
    config = loading.configuration(model, location, trust, **more)
    try:
        return config, loading.tokenizer(model, location, trust, **more), 0
    except ModelError:  # it may not be here yet: tokens are then guessed, and said to be
        return config, None, 0


def _guess(asked: list[Prompt], form: Format) -> EncodedPrompts:
    """Rows of about the right length, for want of the tokenizer.

    Each question and each option has a token of its own.
    """

    def fake(text: str, *token: int) -> tuple[int, ...]:
        return (hash(token),) * max(1, round(len(text) / CHARACTERS_PER_TOKEN))

    if form != "cloze":
        return EncodedPrompts(
            tuple(TokenRow(i, None, fake(p.contexts[0], i), (0,) * len(p.continuations)) for i, p in enumerate(asked)),
            (),
        )
    return EncodedPrompts(
        tuple(
            TokenRow(i, o, fake(before, i) + fake(after, i, o)[:-1], fake(after, i, o))
            for i, p in enumerate(asked)
            for o, (before, after) in enumerate(zip(p.contexts, p.continuations, strict=True))
        ),
        (),
    )


def _active(parameters: int, config: PretrainedConfig) -> float:
    """Parameters of the blocks that a token meets.

    These are all, or in a mixture of experts about the share of experts it is sent to.
    """
    inner = text_config(config)
    experts = next(
        (
            getattr(inner, n)
            for n in ("num_experts", "num_local_experts", "n_routed_experts")
            if getattr(inner, n, None)
        ),
        0,
    )
    used = getattr(inner, "num_experts_per_tok", None)
    return parameters * used / experts if experts and used else float(parameters)


def _largest(network: PreTrainedModel, blocks: torch.nn.ModuleList) -> int:
    """Elements of the largest module that is widened at once when weights are stored narrower than they compute."""
    embeddings = sum(p.numel() for p in network.get_input_embeddings().parameters())
    return max(embeddings, *(sum(p.numel() for p in block.parameters()) for block in blocks))


def _widest_features(blocks: torch.nn.ModuleList) -> int:
    return max((p.shape[0] for p in blocks.parameters() if p.ndim == 2), default=1)


@functools.cache
def matrix_rate(device: torch.device, dtype: torch.dtype, seconds: float = 0.3) -> float:
    """Floating-point operations per second of this device's matrix product.

    It is measured for a moment, once in a process.
    """
    try:
        a, b = (torch.randn(1024, 1024, device=device).to(dtype) for _ in range(2))
        for _ in range(3):
            torch.mm(a, b)
        _wait(device)
        begin, runs = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds:
            torch.mm(a, b)
            _wait(device)
            runs += 1
        return 2 * 1024**3 * runs / (time.perf_counter() - begin)
    except RuntimeError as error:
        raise LayercliffError(f"{device} cannot multiply matrices in {dtype}: use another --dtype.") from error


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()
