"""Rows run block by block give the network's own logits, or the way of running them is changed, or the network is
refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import families
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import DogeConfig, GPTNeoConfig, Phi3Config, PretrainedConfig

import layercliff
from layercliff.choices import Sharing
from layercliff.errors import ModelError
from layercliff.models import quirks
from layercliff.models.anatomy import Anatomy
from layercliff.models.model import Model
from layercliff.readout import encoded_task, logit_agreement
from layercliff.readout.batches import Batch
from layercliff.readout.encode import TokenRow
from layercliff.readout.encoded_task import EncodingOptions
from layercliff.readout.trace import LogitAgreement
from layercliff.report import words
from layercliff.run import stored_files
from layercliff.tasks.question import Question, Task

SWITCH = 40  # tokens; longer sequences get other rotary frequencies
SHAPE = {**families._SHAPE, "num_hidden_layers": 3}
CONFIGS: dict[str, Callable[[], PretrainedConfig]] = {
    "longrope": lambda: Phi3Config(
        original_max_position_embeddings=SWITCH,
        **SHAPE,
        rope_parameters={
            "rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 4, "long_factor": [4.0] * 4,
            "original_max_position_embeddings": SWITCH, "factor": 256 / SWITCH,
        },
    ),
    "gpt_neo": lambda: GPTNeoConfig(
        vocab_size=families.VOCABULARY, hidden_size=32, num_layers=3, num_heads=4, max_position_embeddings=256,
        window_size=20, attention_types=[[["local"], 3]], bos_token_id=0, eos_token_id=1,
    ),
    "doge": lambda: DogeConfig(**SHAPE, keep_window_size=8),
}  # fmt: skip


def model_of(name: str, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setitem(families.CONFIGS, name, CONFIGS[name])
    return Model.of(families.network(name), families.tokenizer(), name)


@pytest.fixture
def llama() -> nn.Module:
    """One to be doctored."""
    return families.network("llama", n_layers=3)


@pytest.fixture
def task() -> Task:
    """Questions that become longer and longer, some of them longer than `SWITCH` tokens."""
    options = ("blue", "red", "green", "yellow one two")
    return Task(
        "growing",
        tuple(Question(f"q{i}", "one two three " * (2 * i) + f"{i}?", options, i % 4, f"g{i}") for i in range(8)),
        "made up", "none", "cloze",
    )  # fmt: skip


def rows(form: str = "cloze", n: int = 6) -> list[TokenRow]:
    """After a common beginning, of different lengths; of *cloze*, four to a question."""
    draw = np.random.default_rng(1)
    found = []
    for question in range(n):
        prompt = (*range(20, 32), *(int(t) for t in draw.integers(3, families.VOCABULARY, 3 + 6 * (question // 2))))
        for option in range(4 if form == "cloze" else 1):
            targets = tuple(int(t) for t in draw.integers(3, families.VOCABULARY, 1 + option))
            if form == "cloze":
                found.append(TokenRow(question, option, prompt + targets[:-1], targets))
            else:
                found.append(TokenRow(question, None, prompt, (5, 6, 7)))
    return found


@torch.inference_mode()
def by_itself(model: Model, row: TokenRow) -> np.ndarray:
    """A row's scores from the network's own forward pass, nothing beside it."""
    logits = model.network(input_ids=torch.tensor([row.tokens])).logits[0].float()
    if row.option is None:
        return logits[-1, list(row.targets)].numpy()
    read = logits[-len(row.targets) :].log_softmax(-1)
    return np.array([sum(float(read[place, target]) for place, target in enumerate(row.targets))])


@pytest.mark.parametrize("form", ["cloze", "letter"])
def test_every_family_keeps_what_it_shares(family: str, form: str) -> None:
    model = Model.of(families.network(family), families.tokenizer(), family)
    found = logit_agreement.of(model, rows(form))
    assert found.sharing == model.anatomy.shares
    assert not found.lost
    assert found.difference < 1e-5
    assert not found.notice


def test_it_is_cheap_and_done_once(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most six sequences by themselves and two batches, however many rows there are; nothing the second time."""
    calls: list[int] = []
    whole, entered = 0, []
    enter = Anatomy.enter
    monkeypatch.setattr(Anatomy, "enter", lambda self, *a: entered.append(a) or enter(self, *a))
    hook = tiny.network.register_forward_pre_hook(lambda *_: calls.append(1))
    many = rows(n=30)
    assert tiny.anatomy.shares == "branches"
    entered.clear()
    for _ in range(2):
        logit_agreement.of(tiny, many)
        whole = len(calls)
    hook.remove()
    assert whole <= 6
    assert len(entered) <= 2


@pytest.mark.parametrize("form", ["cloze", "first_token"])
def test_positions_that_depend_on_the_length_of_a_batch(
    monkeypatch: pytest.MonkeyPatch, task: Task, form: Any, tmp_path: Path
) -> None:
    """LongRoPE, with prompts on both sides of the switch: trace and path equal every row by itself."""
    model = model_of("longrope", monkeypatch)
    notes: list[str] = []
    traced = layercliff.trace(model, task, format=form, out=tmp_path, batch_tokens=300)
    pruned = layercliff.prune(model, task, format=form, remove=1, assess=False, batch_tokens=300, note=notes.append)
    part = encoded_task.ask(model, task, form, task.questions, how=EncodingOptions("sum"))
    lengths = {len(row.tokens) for row in part.rows}
    assert min(lengths) < SWITCH < max(lengths)
    assert part.sharing == "alike"
    place = {question.id: index for index, question in enumerate(traced.trace.questions)}
    for row in part.rows:
        here = slice(None) if row.option is None else row.option
        found = traced.trace.scores[-1, place[part.questions[row.question].id], here]
        np.testing.assert_allclose(np.atleast_1d(found), by_itself(model, row), atol=1e-4)
    report = [index for index, half in enumerate(traced.trace.half_of) if half == "report"]
    np.testing.assert_allclose(pruned.traces[0].scores[-1], traced.trace.scores[-1][report], atol=1e-4)
    summary = json.loads((tmp_path / "trace" / "summary.json").read_text())
    assert summary["traced_tasks"]["growing"]["agreement"]["sharing"] == "alike"
    assert summary["traced_tasks"]["growing"]["agreement"]["lost"]["nothing"] > 1e-2
    (notice,) = [notice for notice in words.notices(traced) if "equal length" in notice]
    assert notice in notes
    assert notice in (tmp_path / "report.html").read_text().replace("&#39;", "'")


def test_a_window_by_place_loses_branches_alone(monkeypatch: pytest.MonkeyPatch, task: Task) -> None:
    """GPT-Neo's local attention counts places of a sequence, not positions."""
    model = model_of("gpt_neo", monkeypatch)
    assert model.anatomy.shares == "branches"
    found = logit_agreement.of(model, rows())
    assert found.sharing == "lead"
    assert found.lost["branches"] > 1e-3
    evaluated = layercliff.evaluate(model, task, format="cloze")
    part = encoded_task.ask(model, task, "cloze", task.questions)
    known = {(r["id"], r["option"]): r["log_likelihood"] for r in evaluated.options.iter_rows(named=True)}
    for row in part.rows:
        expected = by_itself(model, row)
        assert known[part.questions[row.question].id, row.option] == pytest.approx(float(expected[0]), abs=1e-4)


def doctored(network: nn.Module, change: Callable[[Tensor], Tensor]) -> Model:
    """A network in which what an MLP adds is changed."""
    network.model.layers[1].mlp.register_forward_hook(lambda _m, _a, out: change(out))
    return Model.of(network, families.tokenizer(), "doctored")  # type: ignore[arg-type]


def by_place(added: Tensor) -> Tensor:
    return torch.cat([added[:, :16], 1.5 * added[:, 16:]], 1)


@pytest.mark.parametrize(
    ("change", "kept", "lost"),
    [
        (lambda added: added, "branches", set()),
        (by_place, "nothing", {"branches", "lead"}),
        (lambda added: added + 0.3 * added.mean(0, keepdim=True), "alone", {"branches", "lead", "nothing", "alike"}),
    ],
)
def test_what_differs_loses_sharing_then_batching(
    llama: nn.Module, change: Callable[[Tensor], Tensor], kept: Sharing, lost: set[Sharing]
) -> None:
    model = doctored(llama, change)
    assert model.anatomy.shares == "branches"
    notes: list[str] = []
    found = logit_agreement.of(model, rows(), "some", notes.append)
    assert (found.sharing, set(found.lost)) == (kept, lost)
    assert found.difference < 1e-5
    assert [note.startswith("some: ") for note in notes] == [True] * bool(lost)


def test_a_network_that_no_sharing_agrees_with_is_refused(llama: nn.Module) -> None:
    """A hook on a block itself is run twice, once as the block stands aside; the probe is too short to show it."""

    def stretch(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (torch.cat([args[0][:, :16], 1.1 * args[0][:, 16:]], 1), *args[1:])

    llama.model.layers[0].register_forward_pre_hook(stretch)
    model = Model.of(llama, families.tokenizer(), "doctored")  # type: ignore[arg-type]
    with pytest.raises(
        ModelError, match=r"LlamaForCausalLM cannot be read block by block: .* differ .* by \d\.\de-0\d"
    ):
        logit_agreement.of(model, rows())


def test_attention_that_looks_ahead_is_refused(monkeypatch: pytest.MonkeyPatch, task: Task) -> None:
    """It is tried at the lengths of the task. Doge keeps so many keys of all, the following ones among them, once there
    are more than its window."""
    model = model_of("doge", monkeypatch)
    with torch.no_grad():
        for block in model.anatomy.blocks:
            block.self_attn.A.zero_()  # as Doge itself begins
    monkeypatch.setattr(quirks, "WINDOWS", ())  # as of a family that is not known
    with pytest.raises(ModelError, match="DogeForCausalLM is not causal: of"):
        layercliff.trace(model, task)
    short = [TokenRow(0, None, (5, 6, 7, 8), (9, 10)), TokenRow(1, None, (9, 8, 7), (9, 10))]
    assert logit_agreement.of(model, short).sharing == model.anatomy.shares


def test_a_known_window_is_refused_whatever_a_few_rows_show(monkeypatch: pytest.MonkeyPatch, task: Task) -> None:
    """Trained weights may keep the keys that come before in most rows, and not in all."""
    model = model_of("doge", monkeypatch)
    with pytest.raises(ModelError, match="not causal beyond 8 tokens, and the longest prompt has"):
        layercliff.trace(model, task)
    short = [TokenRow(0, None, (5, 6, 7, 8), (9, 10)), TokenRow(1, None, (9, 8, 7), (9, 10))]
    assert logit_agreement.of(model, short).sharing == "nothing"


def test_rounding_of_narrow_dtypes_is_no_difference(family: str) -> None:
    wide, narrow = families.network(family), families.network(family).bfloat16()
    shares = Model.of(wide, families.tokenizer(), family).anatomy.shares
    assert logit_agreement.of(Model.of(narrow, families.tokenizer(), family), rows()).sharing == shares


def test_a_result_of_before_has_no_agreement() -> None:
    from layercliff.readout.trace import TracedTask

    entry = {"name": "t", "form": "cloze", "source": "", "split": "", "licence": "", "left_out": [], "skipped": []}
    assert stored_files.shaped(entry, TracedTask).agreement is None
    found = TracedTask("t", "cloze", "", "", "", agreement=LogitAgreement("alike", 3, 50, 1e-7, {"nothing": 0.5}))
    assert stored_files.shaped(found.as_dict(), TracedTask) == found


@pytest.mark.slow
def test_every_verb_runs_rows_as_was_found(
    tiny: Model, task: Task, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where only rows of equal length may be run together, no pass of any verb has others, nor anything shared."""
    passed: list[Batch] = []
    levels = Batch.levels

    def noted(self: Batch, device: torch.device) -> Any:
        passed.append(self)
        return levels(self, device)

    monkeypatch.setattr(logit_agreement, "_known", {})
    monkeypatch.setattr(logit_agreement, "_found", lambda *_: LogitAgreement("alike", 3, 50, 0.0, {"nothing": 0.5}))
    monkeypatch.setattr(Batch, "levels", noted)
    about: dict[str, Any] = {"out": tmp_path, "batch_tokens": 300}
    verbs: list[Callable[[], object]] = [
        lambda: layercliff.trace(tiny, task, **about),
        lambda: layercliff.evaluate(tiny, task, out=tmp_path / "evaluated"),
        *(
            lambda name=name: layercliff.prune(tiny, task, criterion=name, remove=1, assess=False, **about)
            for name in ("margin", "loss", "block_influence", "laco")
        ),
        lambda: layercliff.noise(tiny, task, eps=(0.1,), draws=1, **about),
        lambda: layercliff.ablate(tiny, task, **about),
        lambda: layercliff.patch(tiny, task, steps=(1,), criterion="margin", **about),
        lambda: layercliff.similarity(tiny, task, steps=(1,), criterion="margin", **about),
        lambda: layercliff.controls(tiny, task, criterion="margin", **about),
        lambda: layercliff.lens(tiny, task, lenses=("tuned", "probe"), text="prose", tokens=99, steps=0, **about),
        lambda: layercliff.forecast(tiny, task, **about),
        lambda: layercliff.assess(tiny, (0, 1, 2)),
    ]
    for number, verb in enumerate(verbs):
        passed.clear()
        verb()
        assert passed, number
        assert all(not batch.lead and not batch.branching for batch in passed), number
        assert all(len({len(row.tokens) for row in batch.rows}) == 1 for batch in passed), number
