"""What a causal language model is made of, found by structure and proven by its own logits."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import signature
from typing import Any, Literal

import torch
from jaxtyping import Int
from torch import Tensor, nn
from transformers import DynamicCache, PretrainedConfig, PreTrainedModel

from layercliff.errors import ModelError
from layercliff.models import passage
from layercliff.models.passage import Call, Leads, Level, Passage, Tree, hidden_state
from layercliff.models.precision import computing_in
from layercliff.models.unembedding import Unembedding

Sharing = Literal["nothing", "lead", "branches"]
"""What may pass the blocks once: nothing, what all rows of a batch begin with, or that and whatever the rows of a question have in common."""

PROBE_LEAD = 3  # tokens
PROBE_STEM = [0, 1, 2, 3, 4]  # places after them
PROBE_BRANCHES = [[0, 1, 2, 3], [0, 1, 4, 5, 6]]
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}


@dataclass(frozen=True)
class Anatomy:
    """The parts of a causal language model that layercliff works with.

    `blocks` is the list of the L transformer blocks, at `blocks_path` inside the network; `backbone` runs everything but the
    head; `unembedding` turns a residual stream into logits; `dtype` is what the backbone computes in.
    """

    backbone: nn.Module
    blocks: nn.ModuleList
    blocks_path: str
    around_blocks: tuple[nn.Module, ...]
    unembedding: Unembedding
    dtype: torch.dtype
    blocks_return_tuples: bool = False

    @contextmanager
    def computing(self) -> Iterator[None]:
        """While this lasts, blocks compute in `dtype`, whatever their weights are stored in."""
        with computing_in(self.dtype, self.blocks):
            yield

    def enter(self, batch: Int[Tensor, "row position"] | Sequence[Level], leads: Leads | None = None) -> Passage:
        """Bring a batch (token ids, or levels of them) before the first block, and learn how each block is to be called for it.

        The network's own forward is run with every block standing aside (it notes what it is called with and returns its input), so
        that masks, position embeddings and the like are the network's own. The blocks are as before afterwards, whatever happened.
        """
        levels = (Level(batch),) if isinstance(batch, Tensor) else batch
        return passage.enter(self.blocks, levels, self._run_aside, leads)

    def _run_aside(self, **inputs: Any) -> list[Call]:
        calls: list[Call] = []

        def stand_aside(*args: Any, **kwargs: Any) -> Any:
            hidden = args[0] if args else kwargs.pop("hidden_states")
            calls.append((hidden, args[1:], kwargs))
            return (hidden,) if self.blocks_return_tuples else hidden

        with ExitStack() as aside:
            aside.enter_context(computing_in(self.dtype, self.around_blocks))
            for block in self.blocks:
                aside.callback(_restore_forward, block, block.__dict__.get("forward"))
                block.forward = stand_aside
            self.backbone(**inputs)
        return calls

    @cached_property
    def shares(self) -> Sharing:
        """What rows have in common and may pass the blocks once, tried on a probe: a beginning that the rest sees through keys and values, and
        continuations as branches of one sequence. Models that keep another kind of state (recurrent, convolutional) or place tokens by other
        means than position ids do without."""
        takes = signature(self.backbone.forward).parameters
        if getattr(self.backbone, "_is_stateful", False) or "past_key_values" not in takes or not self._holds(None):
            return "nothing"
        return "branches" if self._holds(_probe_tree(next(self.backbone.parameters()).device)) else "lead"

    @torch.inference_mode()
    def _holds(self, tree: Tree | None) -> bool:
        """Whether a probe run as a beginning and what follows, or its branches, ends in the states of the probe run whole."""
        device = next(self.backbone.parameters()).device
        ids = torch.arange(3, 13, device=device)[None] % self.unembedding.vocabulary
        branches = [PROBE_STEM] if tree is None else PROBE_BRANCHES
        places = sorted({place for branch in branches for place in branch})
        try:
            with self.computing():
                lead, rest = Level(ids[:, :PROBE_LEAD]), ids[:, PROBE_LEAD:][:, places]
                levels = self.enter((lead, Level(rest, torch.zeros(1, dtype=torch.long, device=device), tree)))
                if any(not _takes_cache(call) for calls in levels.calls for call in calls):
                    return False
                *_, (_, found) = levels.depths()
                for branch in branches:
                    sequence = torch.cat([ids[:, :PROBE_LEAD], ids[:, PROBE_LEAD:][:, branch]], 1)
                    *_, (_, whole) = self.enter(sequence).depths()
                    difference = (found[:, branch] - whole[:, PROBE_LEAD:]).abs().max()
                    if not float(difference / whole.abs().max().clamp_min(1e-6)) < TOLERANCE[self.dtype]:
                        return False
        except (AttributeError, IndexError, TypeError, ValueError, RuntimeError):  # its own code knows no such cache
            return False
        return True


def _probe_tree(device: torch.device) -> Tree:
    """The tokens of both of `PROBE_BRANCHES` as one row."""
    sees = torch.eye(7, dtype=torch.bool)
    positions = torch.zeros(1, 7, dtype=torch.long)
    for branch in PROBE_BRANCHES:
        for number, place in enumerate(branch):
            positions[0, place] = PROBE_LEAD + number
            sees[place, branch[: number + 1]] = True
    return Tree(positions.to(device), sees[None].to(device))


def _takes_cache(call: Call) -> bool:
    _, args, kwargs = call
    return any(isinstance(value, DynamicCache) for value in (*args, *kwargs.values()))


def _restore_forward(block: nn.Module, own: Any) -> None:
    if own is None:
        del block.forward
    else:
        block.forward = own


def text_config(config: PretrainedConfig) -> PretrainedConfig:
    """The configuration of the language model, inside a multimodal wrapper's or itself."""
    return config.get_text_config()


@torch.inference_mode()
def dissect(network: PreTrainedModel, dtype: torch.dtype | None = None) -> Anatomy:
    """Find the parts of `network` and prove them: a probe's logits must come out as the network's own.

    `dtype` is what the blocks shall compute in (default: the dtype of the weights).

    Raises `ModelError` naming the part that was not found, weights that are not finite, or the difference of the logits.
    """
    name = type(network).__name__
    config = text_config(network.config)
    if getattr(network.config, "is_encoder_decoder", False):
        raise ModelError(f"{name} is an encoder-decoder: layercliff reads decoder-only (causal) language models.")
    head: nn.Module | None = network.get_output_embeddings()  # type: ignore[no-untyped-call]
    if head is None:
        raise ModelError(
            f"{name} has no unembedding (output embeddings): load it as a causal language model, with its head."
        )
    path, blocks = find_blocks(network)
    owner = network.get_submodule(path.rpartition(".")[0])
    dtype = dtype or next(blocks.parameters()).dtype
    around = tuple(child for child in owner.children() if child is not blocks and any(True for _ in child.parameters()))
    softcap = getattr(config, "final_logit_softcapping", None)

    ids = torch.arange(3, 11, device=next(network.parameters()).device)[None] % config.vocab_size
    hidden, tail, logits, tuples = _observe(
        network, owner, blocks, head, ids, computing_in(dtype, (*around, *blocks, head))
    )
    _check_finite(network, logits)
    unembedding = Unembedding.of(nn.Sequential(*tail), head, softcap=softcap)
    found = Anatomy(network.base_model, blocks, path, around, unembedding, dtype, tuples)
    scale = _logit_scale(found, config, hidden, logits)
    found = replace(found, unembedding=Unembedding.of(nn.Sequential(*tail), head, scale, softcap))
    _prove(found, name, hidden, logits)
    return found


def find_blocks(network: PreTrainedModel) -> tuple[str, nn.ModuleList]:
    """The list of transformer blocks with its path: as long as the configuration says, inside no other list, the heaviest of such.

    Raises `ModelError` naming the lists found.
    """
    count = text_config(network.config).num_hidden_layers
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
    path = max(fitting, key=lambda path: sum(p.numel() for p in fitting[path].parameters()))
    return path, fitting[path]


def _observe(
    network: PreTrainedModel, owner: nn.Module, blocks: nn.ModuleList, head: nn.Module, ids: Tensor, precision: Any
) -> tuple[Tensor, list[nn.Module], Tensor, bool]:
    """Run a probe: the last block's output, the modules called between it and the head in their order, the logits, and whether
    blocks return tuples."""
    last: list[Tensor] = []
    tuples: list[bool] = []
    tail: list[nn.Module] = []
    headed: list[bool] = []
    with ExitStack() as stack:
        stack.enter_context(precision)
        stack.callback(blocks[-1].register_forward_hook(lambda _m, _a, out: last.append(hidden_state(out))).remove)
        stack.callback(
            blocks[-1].register_forward_hook(lambda _m, _a, out: tuples.append(isinstance(out, tuple))).remove
        )
        for child in owner.children():
            if child is not blocks and child is not head:
                stack.callback(
                    child.register_forward_hook(
                        lambda m, _a, _o: tail.append(m) if last and not headed else None
                    ).remove
                )
        stack.callback(head.register_forward_pre_hook(lambda _m, _a: headed.append(True)).remove)
        logits = network(input_ids=ids, use_cache=False).logits
    if not last:
        raise ModelError(f"{type(network).__name__} did not run its last block: its blocks cannot be read one by one.")
    return last[0][0], tail, logits[0], tuples[0]


def _check_finite(network: PreTrainedModel, logits: Tensor) -> None:
    if bool(torch.isfinite(logits).all()):
        return
    for name, parameter in network.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise ModelError(
                f"The weights of {name} hold NaN or infinity: the checkpoint is damaged; fetch or convert it again."
            )
    raise ModelError("The model's logits hold NaN or infinity although its weights are finite: use --dtype float32.")


def _all_logits(anatomy: Anatomy, hidden: Tensor) -> Tensor:
    return anatomy.unembedding.vocabulary_logits(anatomy.unembedding.normed(hidden), 0, anatomy.unembedding.vocabulary)


def _logit_scale(anatomy: Anatomy, config: PretrainedConfig, hidden: Tensor, logits: Tensor) -> float:
    """The factor on the logits (Cohere multiplies, Granite divides): fitted, then taken from the configuration where that agrees."""
    raw = _all_logits(anatomy, hidden).double()
    size = float((raw * raw).sum())
    fitted = float((raw * logits.double()).sum()) / size if size else 1.0
    divisor = getattr(config, "logits_scaling", None)
    known = (1.0, getattr(config, "logit_scale", None), 1 / divisor if divisor else None)
    return next((float(k) for k in known if k and abs(fitted / k - 1) < TOLERANCE[anatomy.dtype]), fitted)


def _prove(anatomy: Anatomy, name: str, hidden: Tensor, logits: Tensor) -> None:
    own = logits.float()
    difference = float((_all_logits(anatomy, hidden) - own).abs().max() / own.abs().max().clamp_min(1e-6))
    if not difference < TOLERANCE[anatomy.dtype]:
        parts = ", ".join(type(m).__name__ for m in anatomy.unembedding.final_norm.children()) or "nothing"
        raise ModelError(
            f"The final norm or unembedding of {name} was not understood: logits rebuilt from its last block (through {parts}) differ from its own by {difference:.1e} of their size."
        )
