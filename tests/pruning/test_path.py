"""What is read of each step of a path: every depth once, and what the step before shares with it not again."""

import families
import numpy as np
import pytest

import layercliff
from layercliff.choices import Format
from layercliff.errors import RunError
from layercliff.models.merged_blocks import Linear
from layercliff.models.model import Model
from layercliff.pruning.path import depths_shared, last_step
from layercliff.pruning.step import Step
from layercliff.readout.read import Reader, Reading
from layercliff.tasks.question import Task

QUICK = (("margin", "first_token"), ("margin", "cloze"), ("random", "cloze"), ("mka", "cloze"))
WALKED = [
    pytest.param(criterion, form, marks=() if (criterion, form) in QUICK else pytest.mark.slow)
    for criterion in ("margin", "tail", "random", "mka")
    for form in ("first_token", "cloze")
]


@pytest.mark.parametrize(("criterion", "form"), WALKED)
def test_every_step_reads_as_its_model_read_from_the_start(
    task: Task, form: Format, criterion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a walk that shares nothing, to the last bit of *cloze* (elsewhere the options' rows multiply other
    numbers of depths at once)."""
    found = layercliff.prune(model(), task, criterion=criterion, draws=3, remove=4, format=form)
    monkeypatch.setattr("layercliff.pruning.path.depths_shared", lambda *_: 0)
    fresh = layercliff.prune(model(), task, criterion=criterion, draws=3, remove=4, format=form)
    assert [step.kept for step in found.steps] == [step.kept for step in fresh.steps]
    for ours, theirs in zip(found.traces, fresh.traces, strict=True):
        assert ours.scores.shape == theirs.scores.shape
        if form == "cloze":
            np.testing.assert_array_equal(ours.scores, theirs.scores)
        np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("criterion", ["margin", "tail", "random"])
def test_a_depth_that_the_step_before_shares_is_not_read_again(
    task: Task, criterion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[int, int]] = []  # blocks kept, depths read
    whole = Reader.read

    def counted(self: Reader, batch: object, kept: object = None) -> Reading:
        reading = whole(self, batch, kept)  # type: ignore[arg-type]
        read.append((len(kept), len(reading.scores)))  # type: ignore[arg-type]
        return reading

    monkeypatch.setattr(Reader, "read", counted)
    found = layercliff.prune(model(), task, criterion=criterion, draws=1, remove=3, format="cloze", batch_tokens=10_000)
    expected = [(6, 7)]
    for before, step in zip(found.steps, found.steps[1:], strict=False):
        place = before.kept.index(step.removed[0])
        expected += [(len(step.kept), len(step.kept) - place)] if place < len(step.kept) else []
    assert read == expected
    if criterion == "tail":
        assert len(read) == 1


def test_what_two_steps_share() -> None:
    merged = {1: Linear({1: 0.5, 2: 0.5})}
    assert depths_shared(Step((0, 1, 2, 3)), Step((0, 1, 3))) == 3
    assert depths_shared(Step((0, 1, 2)), Step((0, 1))) == 3
    assert depths_shared(Step((0, 1, 2)), Step((1, 2))) == 1
    assert depths_shared(Step((0, 1, 2)), Step((0, 1), blends=merged)) == 2
    assert depths_shared(Step((0, 1, 3), blends=merged), Step((0, 1), blends=merged)) == 2


def model() -> Model:
    """Six blocks of random weights."""
    return Model.of(families.network("llama", n_layers=6), families.tokenizer())


def test_all_blocks_protected() -> None:
    with pytest.raises(RunError, match="All of the model's 5 blocks are protected: protect fewer"):
        last_step(5, None, None, range(5))
