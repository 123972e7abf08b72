"""Every family is read, pruned and rebuilt as its network says, or refused in a sentence: none is silently wrong.

The oracle is the slow and obvious one: the network's own forward pass, one row at a time, without padding, sharing or a
cache; a removed block is one whose forward gives back the state it was given.
"""

import copy
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import every_family
import families
import numpy as np
import pytest
import torch
from every_family import Family
from torch import Tensor, nn
from transformers import PreTrainedModel

import layercliff
from layercliff.choices import Format
from layercliff.errors import LayercliffError
from layercliff.metrics import decision
from layercliff.models import checkpoint, removable_blocks
from layercliff.models.anatomy import find_blocks
from layercliff.models.model import Model
from layercliff.models.surgery import cut
from layercliff.readout import encoded_task
from layercliff.readout.encoded_task import EncodedTask
from layercliff.tasks.question import Question, Task

TOLERANCE = 1e-4
SECONDS = 60
QUICK = ("bert", "gemma2")
CUTS = ((0,), (1, 3), (every_family.N_LAYERS - 1,))
IDS = ((5, 77, 130, 9, 240, 31, 18, 200, 12, 44, 6, 90), (61, 8, 300))

TEXTS = (
    "which of these is a metal?",
    "which?",
    "which of these is a metal and which of these is wood and which of these is water and which is paper?",
    "The capital of France is Paris. which of these is it?",
    "which of these is one?",
)
OPTIONS = ("iron", "blue", "red green", "yellow one two", "three")
QUESTIONS = tuple(
    Question(f"q{i}", text, tuple(OPTIONS[(i + j) % 5] for j in range(2 + i % 2)), i % 2, f"g{i}")
    for i, text in enumerate(TEXTS)
)
TASK = Task("mixed", QUESTIONS, "made up", "none", "letter")


@torch.inference_mode()
def own_logits(network: PreTrainedModel, tokens: Sequence[int]) -> Tensor:
    """The network's own logits of one row by itself."""
    found: Tensor = network(input_ids=torch.tensor([list(tokens)]), use_cache=False).logits[0]
    return found.float()


def state(output: Any) -> Tensor:
    """The residual stream that a block gives on."""
    found: Tensor = output if isinstance(output, Tensor) else output[0]
    return found


@contextmanager
def without(network: PreTrainedModel, gone: Sequence[int]) -> Iterator[None]:
    """While this lasts, the blocks `gone` give back the state they are given, with what else the one before gave."""
    _, blocks = find_blocks(network)
    shapes = _outputs(network, blocks)
    given: list[Any] = [None]
    with ExitStack() as stack:
        for index, block in enumerate(blocks):
            if index in gone:
                stack.callback(block.__dict__.pop, "forward")
                block.forward = _standing_aside(shapes[index], given)  # type: ignore[method-assign]
            stack.callback(block.register_forward_hook(lambda _m, _a, out: given.__setitem__(0, out)).remove)
        yield


def _standing_aside(shape: Any, given: list[Any]) -> Any:
    def forward(*args: Any, **kwargs: Any) -> Any:
        hidden = args[0] if args else kwargs["hidden_states"]
        if isinstance(shape, Tensor):
            return hidden
        before = given[0] if isinstance(given[0], tuple) and len(given[0]) == len(shape) else shape
        return (hidden, *before[1:])

    return forward


def _outputs(network: PreTrainedModel, blocks: nn.ModuleList) -> list[Any]:
    """What each block gives for a short sequence."""
    found: list[Any] = []
    with ExitStack() as stack:
        for block in blocks:
            stack.callback(block.register_forward_hook(lambda _m, _a, out: found.append(out)).remove)
        own_logits(network, IDS[1])
    return found


def own_scores(network: PreTrainedModel, put: EncodedTask) -> dict[str, np.ndarray]:
    """The options' scores of each question by its id, from the network's own logits."""
    found: dict[str, np.ndarray] = {}
    for row in put.rows:
        question = put.questions[row.question]
        scores = found.setdefault(question.id, np.full(len(question.options), np.nan))
        logits = own_logits(network, row.tokens)
        if row.option is None:
            scores[:] = logits[-1, list(row.targets)].numpy()
        else:
            read = logits[-len(row.targets) :].log_softmax(-1)[range(len(row.targets)), list(row.targets)]
            scores[row.option] = float(read.double().sum()) / put.divisor[row.question, row.option]
    return found


def agree(what: str, found: Any, wanted: Any) -> None:
    """To `TOLERANCE`, of the largest value where that is larger than 1."""
    one, other = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    assert one.shape == other.shape, f"{what}: shape {one.shape} instead of {other.shape}"
    difference = float(np.abs(one - other).max() / max(1.0, np.abs(other).max()))
    assert difference <= TOLERANCE, f"{what}: {difference:.1e} off"


def put(model: Model, form: Format) -> EncodedTask:
    return encoded_task.ask(model, TASK, form, QUESTIONS)


def check_trace(model: Model) -> None:
    """The last depth's scores are the network's own, and the states those that its blocks give."""
    for form in ("letter", "cloze"):
        trace = layercliff.trace(model, TASK, format=form).trace
        own = own_scores(model.network, put(model, form))
        for number, question in enumerate(trace.questions):
            scores = trace.scores[-1, number, : len(question.options)]
            agree(f"{form} scores", scores, own[question.id])
    outputs = [state(output) for output in _outputs(model.network, model.anatomy.blocks)]
    with torch.inference_mode(), model.anatomy.computing():
        states = [found for _, found in model.anatomy.enter(torch.tensor([IDS[1]])).depths()]
    for depth, (found, wanted) in enumerate(zip(states[1:], outputs, strict=True), 1):
        agree(f"state at depth {depth}", found, wanted)


def check_candidates(model: Model) -> tuple[int, ...]:
    """What is measured without a block, on either half, is what such a network gives; the blocks an export may lack."""
    told: list[str] = []
    pruned = layercliff.prune(
        model, TASK, format="cloze", criterion="option_nll", remove=1, assess=False, note=told.append
    )
    step, report = pruned.steps[1], pruned.traces[1]
    rows = put(model, "cloze")
    reported = {question.id for question in report.questions}
    for block, score in step.scores.items():
        with without(model.network, (block,)):
            own = own_scores(model.network, rows)
        chosen_on = [log_probability(own[q.id], q.gold) for q in rows.questions if q.id not in reported]
        agree(f"candidate {block}", score, np.mean(chosen_on))
        if (block,) == step.removed:
            for number, question in enumerate(report.questions):
                scores = report.scores[-1, number, : len(question.options)]
                agree(f"report without {block}", scores, own[question.id])
    removal = removable_blocks.removable_blocks(model)
    assert all(sentence in told for sentence in [str(removal)] if sentence), "nothing was told before the path"
    return tuple(step.scores) if removal.unfit is None else ()


def log_probability(scores: np.ndarray, gold: int) -> float:
    """Of the gold option among the options."""
    return float(np.log(decision.probabilities(scores[None, None], np.ones((1, len(scores)), bool))[0, 0, gold]))


def check_rebuilt(model: Model, gone: Sequence[int], target: Path) -> None:
    """The network without some blocks as a checkpoint, which comes back as the network without them."""
    kept = [index for index in range(model.n_layers) if index not in gone]
    with without(model.network, gone):
        own = [own_logits(model.network, ids) for ids in IDS]
    network = copy.deepcopy(model.network)
    cut(network, kept)
    checkpoint.export(Model.of(network, model.tokenizer, "cut"), target, IDS, {})
    reloaded = layercliff.load(str(target))
    for ids, wanted in zip(IDS, own, strict=True):
        agree(f"rebuilt without {gone}", own_logits(reloaded.network, ids), wanted)


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Raises `TimeoutError` when the processor has worked longer."""

    def late(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"This took longer than {seconds} seconds.")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def check(network: PreTrainedModel, directory: Path) -> None:
    """Raises `AssertionError` saying what is wrong by how much, `LayercliffError` for what is refused."""
    model = Model.of(network, families.tokenizer(), "tiny")
    check_trace(model)
    may_go = check_candidates(model)
    for gone in CUTS:
        if set(gone) <= set(may_go):
            try:
                check_rebuilt(model, gone, directory / "-".join(map(str, gone)))
            except LayercliffError as late:
                if model.network.config.model_type not in every_family.REFUSED_LATE:
                    pytest.fail(f"refused only after its candidates were scored: {late}")


def cases() -> Iterator[Any]:
    """Every family, all but a few of them only where there is time."""
    for family in every_family.every():
        quick = family.kind in QUICK and not family.images
        name = f"{family.kind}-images" if family.images else family.kind
        yield pytest.param(family, id=name, marks=() if quick else pytest.mark.slow)


@pytest.mark.usefixtures("reloads_here")
@pytest.mark.parametrize("family", list(cases()))
def test_right_or_refused(family: Family, tmp_path: Path) -> None:
    if family.kind in every_family.NOT_BUILT:
        pytest.skip(every_family.NOT_BUILT[family.kind])
    for number, settings in enumerate(family.variants):
        with at_most(SECONDS):
            network = family.network(**settings)
            try:
                check(network, tmp_path / str(number))
            except LayercliffError as refusal:
                assert is_one_sentence(str(refusal)), str(refusal)


def is_one_sentence(text: str) -> bool:
    """A line that begins with a capital or a name and ends with a full stop."""
    return "\n" not in text and text.endswith(".") and len(text) > 20
