"""The parts of a causal language model: found by structure, then checked against its own logits."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from inspect import signature
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from layercliff.choices import Sharing
from layercliff.errors import ModelError
from layercliff.machine import out_of_memory
from layercliff.models import block_interface, blockwise_pass, prefix_sharing, quirks
from layercliff.models.block_interface import BlockCall, BlockInterface, ObservedRun
from layercliff.models.blockwise_pass import BlockwisePass, PrefixCache, Segment
from layercliff.models.precision import ROUNDING, TOLERANCE, cast_to, computing_in
from layercliff.models.unembedding import Unembedding

RAISED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a network's code may raise when it is run in an unforeseen way."""


@dataclass(frozen=True)
class Anatomy:
    """The parts of a causal language model.

    * `backbone`: everything but the head.
    * `blocks`: the L transformer blocks, at `blocks_path` inside the network.
    * `around_blocks`: the other modules that hold weights.
    * `unembedding`: turns a residual stream into logits.
    * `dtype`: what the network computes in.
    * `wiring`: what passes between blocks.
    * `runs_alone`: whether the network runs in the dtypes of its weights.
    """

    backbone: nn.Module
    blocks: nn.ModuleList
    blocks_path: str
    around_blocks: tuple[nn.Module, ...]
    unembedding: Unembedding
    dtype: torch.dtype
    wiring: BlockInterface = field(default_factory=BlockInterface)
    runs_alone: bool = True

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Compute in `dtype`, whatever dtype the weights are stored in."""
        with computing_in(self.dtype, (*self.around_blocks, *self.blocks)):
            yield

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Let the network be called as a whole.

        It runs in the dtype of its weights, or in `dtype` where it mixes several.
        """
        with nullcontext() if self.runs_alone else self.computing():
            yield

    def enter(
        self, batch: Int[Tensor, "row position"] | Sequence[Segment], leads: PrefixCache | None = None
    ) -> BlockwisePass:
        """Run the embeddings for `batch` (token ids, or segments of them) and record how each block is called.

        Every block is bypassed: it records its arguments and returns its input. So masks, position embeddings and the
        like are the network's own. Afterwards the blocks are as before.
        """
        levels = (Segment(batch),) if isinstance(batch, Tensor) else batch
        return blockwise_pass.enter(self.blocks, levels, self._run_aside, leads, self.wiring)

    def _run_aside(self, **inputs: Any) -> list[BlockCall]:
        calls: list[BlockCall] = []
        with ExitStack() as aside:
            aside.enter_context(computing_in(self.dtype, self.around_blocks))
            for index, block in enumerate(self.blocks):
                aside.callback(_restore_forward, block, block.__dict__.get("forward"))
                block.forward = partial(self._aside, calls, index)
            self.backbone(**inputs)
        return calls

    def _aside(self, calls: list[BlockCall], index: int, /, *args: Any, **kwargs: Any) -> Any:
        """Stand in for the forward pass of block `index`: record the call and return the input."""
        calls.append(block_interface.as_call(args, kwargs))
        return self.wiring.aside(index, calls[-1])

    @cached_property
    def shares(self) -> Sharing:
        """What rows may share, found by a trial run.

        Rows can share a prefix through its keys and values. Their continuations can be branches of one sequence.
        Models with another kind of state (recurrent, convolutional) share nothing. Nor do models that do not place
        tokens by position ids.
        """
        takes = signature(self.backbone.forward).parameters
        if self.wiring.beside or getattr(self.backbone, "_is_stateful", False) or "past_key_values" not in takes:
            return "nothing"
        return prefix_sharing.tried(self)


def _restore_forward(block: nn.Module, own: Any) -> None:
    if own is None:
        del block.forward
    else:
        block.forward = own


def text_config(config: PretrainedConfig) -> PretrainedConfig:
    """The configuration of the language model: `config` itself, or the one inside a multimodal wrapper.

    Raises `ModelError` where there are several.
    """
    try:
        return config.get_text_config()
    except ValueError as error:
        raise ModelError(
            f"{type(config).__name__} holds several language models: layercliff reads networks with one."
        ) from error


@contextmanager
def understanding(name: str, part: str) -> Iterator[None]:
    """Turn errors of a network's code into a `ModelError` that names `part`."""
    try:
        yield
    except RAISED as error:
        if out_of_memory(error):
            raise
        said = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
        raise ModelError(f"{part} of {name} was not understood ({said}): {quirks.PLACE}.") from error


@torch.inference_mode()
def dissect(network: PreTrainedModel, dtype: torch.dtype | None = None) -> Anatomy:
    """Find the parts of `network` and check them.

    A trial sequence must come out as the network's own, block by block and in its logits. `dtype` is what the blocks
    compute in. By default it is the dtype of the weights.

    Raises `ModelError` for a part that is not found or not understood, and for weights that are not finite.
    """
    name = type(network).__name__
    if getattr(network.config, "is_encoder_decoder", False):
        raise ModelError(f"{name} is an encoder-decoder: layercliff reads decoder-only (causal) language models.")
    with understanding(name, "The unembedding"):
        head: nn.Module | None = network.get_output_embeddings()  # type: ignore[no-untyped-call]
    if head is None:
        raise ModelError(
            f"{name} has no unembedding (output embeddings): load it as a causal language model, with its head."
        )
    with understanding(name, "The list of blocks"):
        path, blocks = find_blocks(network)
    around = tuple(_around(network, path))
    dtype = dtype or _dtype(name, blocks)
    ids = _probe_ids(network)
    with understanding(name, "The forward pass"), computing_in(dtype, (*around, *blocks)), cast_to(dtype, head):
        trial = block_interface.observe(network, path, blocks, head, ids)  # some networks ask their head for its dtype
    _check_finite(network, trial.logits)
    found = Anatomy(
        network.base_model,
        blocks,
        path,
        around,
        Unembedding(nn.Identity(), head),
        dtype,
        block_interface.connect(name, trial, ids),
    )
    with understanding(name, "The forward pass"), found.computing():
        _check_causal(network, ids, trial.logits, tolerance(dtype, next(blocks.parameters()).dtype))
    with understanding(name, "The final norm or unembedding"):
        found = _with_unembedding(found, trial, head, text_config(network.config), name)
    with understanding(name, "The way through the blocks"):
        _prove_passage(found, name, trial, ids)
    return replace(found, runs_alone=_runs_alone(network, ids))


def _around(network: nn.Module, path: str) -> Iterator[nn.Module]:
    """The outermost modules, beside the list of blocks at `path`, that hold weights."""
    owner = network
    for name in path.split("."):
        for child_name, child in owner.named_children():
            if child_name != name and any(True for _ in child.parameters()):
                yield child
        owner = owner.get_submodule(name)


def _dtype(name: str, blocks: nn.ModuleList) -> torch.dtype:
    """The dtype that the blocks' weights are stored in. It must be one that can be computed in."""
    stored = list(dict.fromkeys(parameter.dtype for parameter in blocks.parameters()))
    found = next((dtype for dtype in stored if dtype in TOLERANCE), None)
    if found is None:
        raise ModelError(
            f"The weights of {name} are stored as {', '.join(map(str, stored))}: load it dequantised, or name a dtype."
        )
    return found


def _probe_ids(network: PreTrainedModel) -> Int[Tensor, "1 position"]:
    embeddings: Any = network.get_input_embeddings()
    return torch.arange(3, 11, device=next(embeddings.parameters()).device)[None] % len(embeddings.weight)


def find_blocks(network: PreTrainedModel) -> tuple[str, nn.ModuleList]:
    """The path and the list of the transformer blocks.

    The list is as long as the configuration says and lies inside no other list. Of several, it is the heaviest. A
    tower for images or sounds does not count. Raises `ModelError` naming the lists found.
    """
    count = quirks.block_count(text_config(network.config))
    lists = {path: module for path, module in network.named_modules() if isinstance(module, nn.ModuleList)}
    outermost = {
        path: module for path, module in lists.items() if not any(path.startswith(f"{other}.") for other in lists)
    }
    fitting = {path: module for path, module in outermost.items() if len(module) == count}
    if not fitting:
        lengths = ", ".join(f"{path} ({len(module)})" for path, module in outermost.items()) or "none at all"
        raise ModelError(
            f"{type(network).__name__} has no list of {count} transformer blocks; the lists found are: {lengths}."
        )
    fitting = {path: module for path, module in fitting.items() if not quirks.in_tower(path)} or fitting
    if len(fitting) > 1:
        inner = set(network.get_decoder().modules())  # type: ignore[no-untyped-call]
        fitting = {path: module for path, module in fitting.items() if module in inner} or fitting
    path = max(fitting, key=lambda path: sum(p.numel() for p in fitting[path].parameters()))
    return path, fitting[path]


def _check_finite(network: PreTrainedModel, logits: Tensor) -> None:
    if bool(torch.isfinite(logits).all()):
        return
    for name, parameter in network.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise ModelError(
                f"The weights of {name} hold NaN or infinity: the checkpoint is damaged; fetch or convert it again."
            )
    raise ModelError("The model's logits hold NaN or infinity although its weights are finite: use --dtype float32.")


def _with_unembedding(
    anatomy: Anatomy, trial: ObservedRun, head: nn.Module, config: PretrainedConfig, name: str
) -> Anatomy:
    """Add an unembedding that gives the trial's own logits from its last block's state."""
    norm, softcap, hidden = nn.Sequential(*trial.tail), quirks.softcap(config), trial.states[-1][0]
    plain = replace(anatomy, unembedding=Unembedding.of(norm, head, softcap=softcap))
    scale = _logit_scale(plain, config, hidden, trial.logits)
    found = replace(plain, unembedding=replace(plain.unembedding, logit_scale=scale))
    _prove(found, name, hidden, trial.logits)
    return found


def tolerance(computed: torch.dtype, stored: torch.dtype) -> float:
    """The largest difference allowed between equal logits, as a share of the largest logit.

    Some networks compute parts of a block in the dtype of its weights.
    """
    return max(TOLERANCE[computed], ROUNDING.get(str(stored).removeprefix("torch."), 0.0))


def _check_causal(
    network: PreTrainedModel,
    ids: Int[Tensor, "1 position"],
    logits: Float[Tensor, "position vocabulary"],
    allowed: float,
) -> None:
    """Change the second half of the trial sequence: the logits of the first half must stay."""
    middle = ids.shape[1] // 2
    changed = network(input_ids=torch.cat([ids[:, :middle], ids[:, middle:].flip(1)], 1), use_cache=False).logits[0]
    own = logits[:middle].float()
    difference = float((changed[:middle].float() - own).abs().max() / own.abs().max().clamp_min(1e-6))
    if difference > allowed:
        raise not_causal(network, ids.shape[1], difference)


def positions_by_length(network: PreTrainedModel) -> bool:
    """Whether rotary positions depend on the length of the sequence (LongRoPE, dynamic NTK)."""
    config = text_config(network.config)
    found = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    kinds = [found, *(value for value in found.values() if isinstance(value, dict))]
    names = [str(kind.get("rope_type", kind.get("type"))) for kind in kinds]
    return any(name in ("longrope", "su") or "dynamic" in name for name in names)


def not_causal(network: PreTrainedModel, tokens: int, difference: float) -> ModelError:
    """The error for logits that change with the tokens that follow them."""
    return ModelError(
        f"{type(network).__name__} is not causal: of {tokens} tokens, the logits of the first change by "
        f"{difference:.1e} of their "
        "size with the tokens that follow; layercliff reads causal (decoder-only) language models."
    )


def _all_logits(anatomy: Anatomy, hidden: Tensor) -> Tensor:
    return anatomy.unembedding.vocabulary_logits(anatomy.unembedding.normed(hidden), 0, anatomy.unembedding.vocabulary)


def _logit_scale(anatomy: Anatomy, config: PretrainedConfig, hidden: Tensor, logits: Tensor) -> float:
    """The factor on the logits: fitted, then taken from the configuration where the two agree."""
    raw = _all_logits(anatomy, hidden).double()
    size = float((raw * raw).sum())
    fitted = float((raw * logits.double()).sum()) / size if size else 1.0
    return next(
        (known for known in quirks.scales(config) if abs(fitted / known - 1) < TOLERANCE[anatomy.dtype]), fitted
    )


def _prove(anatomy: Anatomy, name: str, hidden: Tensor, logits: Tensor) -> None:
    own = logits.float()
    difference = float((_all_logits(anatomy, hidden) - own).abs().max() / own.abs().max().clamp_min(1e-6))
    if not difference < TOLERANCE[anatomy.dtype]:
        parts = ", ".join(type(m).__name__ for m in anatomy.unembedding.final_norm.children()) or "nothing"
        raise ModelError(
            f"The final norm or unembedding of {name} was not understood: logits rebuilt from its last block "
            f"(through {parts}) differ from its own by {difference:.1e} of their size; {quirks.PLACE}."
        )


def _prove_passage(anatomy: Anatomy, name: str, trial: ObservedRun, ids: Int[Tensor, "1 position"]) -> None:
    """Run the trial sequence block by block and compare it with the network's own pass.

    Raises `ModelError` naming the first block after which they differ.
    """
    with anatomy.computing():
        passed = (found for _, found in anatomy.enter(ids).depths())
        for index, (found, own) in enumerate(zip(passed, (trial.calls[0][0], *trial.states), strict=True)):
            difference = float((found - own).abs().max() / own.abs().max().clamp_min(1e-6))
            if not difference < TOLERANCE[anatomy.dtype]:
                where = "before its first block" if index == 0 else f"after block {index - 1}"
                raise ModelError(
                    f"{name}, passed block by block, is off its own forward pass by {difference:.1e} {where}: "
                    f"{quirks.PLACE}."
                )


def _runs_alone(network: PreTrainedModel, ids: Int[Tensor, "1 position"]) -> bool:
    """Whether a network whose weights mix dtypes can run as it is."""
    if len({p.dtype for p in network.parameters() if p.is_floating_point()}) < 2:
        return True
    try:
        network(input_ids=ids, use_cache=False)
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        return False  # two dtypes in one product
    return True
