"""What counts in a training: the answers' tokens and nothing else, computed by the model's own head; the same bits from
the same seed."""

from pathlib import Path
from typing import Any

import families
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from layercliff.choices import Format
from layercliff.errors import ModelError, RunError
from layercliff.finetuning import training, weights
from layercliff.finetuning.examples import Example, examples
from layercliff.finetuning.training import Progress, Training
from layercliff.models.model import Model
from layercliff.readout import encoded_task
from layercliff.readout.encoded_task import EncodingOptions
from layercliff.tasks.question import Task

HOW = Training("lora", 4, 3, 1e-2, 4, 0.0)


def asked_whole(model: Model, task: Task, form: Format) -> tuple[Example, ...]:
    return examples([encoded_task.ask(model, task, form, task.questions, how=EncodingOptions(whole=True))])


@pytest.mark.parametrize("form", ["letter", "cloze", "first_token"])
def test_labels_are_the_answers_tokens(tiny: Model, colours: Task, form: Format) -> None:
    """Against the text itself: prompt and answer joined, tokenised, less the prompt's tokens."""
    found = asked_whole(tiny, colours, form)
    for question, example in zip(colours.questions, found, strict=True):
        if form == "letter":
            lines = "\n".join(f" {letter}. {o}" for letter, o in zip("ABCD", question.options, strict=False))
            prompt, answer = f"Question: {question.text}\n{lines}\nAnswer:", "ABCD"[question.gold]
        else:
            prompt, answer = f"Question: {question.text}\nAnswer:", question.options[question.gold]
        whole, before = (tiny.tokenizer(text).input_ids for text in (f"{prompt} {answer}", prompt))
        assert list(example.tokens) == whole
        assert list(example.labels) == [-100] * len(before) + whole[len(before) :]


def batch(some: tuple[Example, ...]) -> tuple[Tensor, Tensor]:
    width = max(len(example.tokens) for example in some)
    ids = torch.tensor([[*e.tokens, *[0] * (width - len(e.tokens))] for e in some])
    labels = torch.tensor([[*e.labels, *[-100] * (width - len(e.tokens))] for e in some])
    return ids, labels


@pytest.mark.parametrize("family", ["llama_tied", "gemma2", "granite", "cohere", "gpt2", "opt_projected", "qwen3_moe"])
def test_the_loss_is_that_of_answers_read_one_by_one(colours: Task, family: str) -> None:
    model = Model.of(families.network(family), families.tokenizer())
    teacher = Model.of(families.network(family, seed=1), families.tokenizer())
    some = asked_whole(model, colours, "cloze")[:5]
    losses, divergences = [], []
    for example in some:
        ids = torch.tensor([example.tokens])
        with torch.no_grad():
            own, other = (m.network(input_ids=ids).logits[0].log_softmax(-1) for m in (model, teacher))
        for place in range(len(example.tokens) - example.answer, len(example.tokens)):
            losses.append(-own[place - 1, example.tokens[place]])
            divergences.append((other[place - 1].exp() * (other[place - 1] - own[place - 1])).sum())
    nll, apart = float(torch.stack(losses).mean()), float(torch.stack(divergences).mean())
    for weight in (0.0, 0.3, 1.0):
        found = training.loss(model, *batch(some), teacher, weight)
        assert found.item() == pytest.approx((1 - weight) * nll + weight * apart, rel=1e-4)
    assert training.loss(model, *batch(some), model, 1.0).item() == pytest.approx(0, abs=1e-5)


def trained(task: Task, how: Training, seed: int, folder: Path, **more: Any) -> Model:
    """A tiny model after training, from its weights on disk."""
    model, dense = (Model.of(families.network("llama_tied"), families.tokenizer()) for _ in range(2))
    found, losses = training.train(model, dense, asked_whole(model, task, "cloze"), how, seed, folder / "c", **more)
    assert [update for update, _ in losses] == list(range(1, how.updates + 1))
    (folder / "w").mkdir(parents=True)
    weights.save(found, folder / "w")
    return Model.of(weights.load(families.network("llama_tied"), folder / "w"), families.tokenizer())


def parameters(model: Model) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.network.parameters()])


@pytest.mark.parametrize("method", ["lora", "full"])
def test_seeds_decide_everything_and_no_update_changes_nothing(colours: Task, tmp_path: Path, method: str) -> None:
    how = Training(method, 4, 3, 1e-2, 4, 0.0)  # type: ignore[arg-type]
    first, again, other = (
        parameters(trained(colours, how, seed, tmp_path / str(n))) for n, seed in enumerate((0, 0, 1))
    )
    dense = parameters(Model.of(families.network("llama_tied"), families.tokenizer()))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, dense)
    none = trained(colours, Training(method, 0, 3, 1e-2, 4, 0.0), 0, tmp_path / "none")  # type: ignore[arg-type]
    assert torch.equal(parameters(none), dense)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 80))
def test_parts_hold_every_row_once(lengths: list[int], tokens: int) -> None:
    """No part holds more tokens than allowed."""
    ids = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    for row, length in enumerate(lengths):
        ids[row, :length] = 10 * row + torch.arange(length) + 1
    found = list(training.parts(ids, ids + 1000, torch.tensor(lengths), tokens))
    rows = [row[row > 0].tolist() for some, _ in found for row in some]
    assert sorted(rows) == [ids[row, :length].tolist() for row, length in enumerate(lengths)]
    assert all(torch.equal(labels, some + 1000) for some, labels in found)
    assert all(some.numel() <= tokens or len(some) == 1 for some, _ in found)
    if ids.numel() > tokens:
        assert all(bool((some > 0).any(0).all()) for some, _ in found)  # no column of padding alone


@pytest.mark.parametrize("distill", [0.0, 0.5])
def test_parts_add_up_to_the_whole(colours: Task, tmp_path: Path, distill: float) -> None:
    how = Training("lora", 4, 6, 1e-2, 4, distill)
    whole, inside = (parameters(trained(colours, how, 0, tmp_path / str(n), batch_tokens=n)) for n in (10_000, 20))
    dense = parameters(Model.of(families.network("llama_tied"), families.tokenizer()))
    assert (whole - dense).abs().max() > 1e-2
    torch.testing.assert_close(inside, whole, rtol=0, atol=1e-4)


def test_out_of_memory_halves_the_parts(colours: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how, notes, plain = Training("lora", 2, 6, 1e-2, 4, 0.0), [], training.loss
    whole = parameters(trained(colours, how, 0, tmp_path / "whole"))

    def small(fits: int) -> Any:
        def tight(model: Model, ids: Tensor, *more: Any) -> Tensor:
            found = plain(model, ids, *more)
            if ids.numel() > fits:
                raise torch.OutOfMemoryError("no")
            return found

        return tight

    monkeypatch.setattr(training, "loss", small(40))
    halved = trained(colours, how, 0, tmp_path / "halved", progress=Progress(note=notes.append))
    torch.testing.assert_close(parameters(halved), whole, rtol=0, atol=1e-4)
    assert notes and all("--batch-tokens" in note for note in notes)
    monkeypatch.setattr(training, "loss", small(3))
    with pytest.raises(ModelError, match=r"a single question of \d+ tokens does not fit"):
        trained(colours, how, 0, tmp_path / "never")


def test_training_lowers_the_loss(colours: Task, tmp_path: Path) -> None:
    model = Model.of(families.network("llama"), families.tokenizer())
    some = asked_whole(model, colours, "cloze")
    before = training.loss(model, *batch(some), model, 0.0).item()
    training.train(model, model, some, Training("lora", 20, 4, 1e-2, 4, 0.0), 0, tmp_path)
    assert training.loss(model, *batch(some), model, 0.0).item() < 0.9 * before


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"updates": -1}, "--updates is -1, and"),
        ({"distill": 1.5}, "--distill is 1.5, and"),
        ({"rate": 0.0}, "--rate is 0.0, and"),
    ],
)
def test_refused_settings(changed: dict[str, float], sentence: str) -> None:
    with pytest.raises(RunError, match=sentence):
        Training(**{**HOW.as_dict(), **changed})
