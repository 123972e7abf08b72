"""Iterative choices against cutting every candidate out, on text and in a race; memory that runs out."""

from dataclasses import replace

import families
import numpy as np
import pytest
import torch
import word_tasks

from layercliff.models.model import Model
from layercliff.models.surgery import cut
from layercliff.pruning import race
from layercliff.pruning.criterion import named
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.iterative import IterativeSelector
from layercliff.pruning.step import Step
from layercliff.pruning.sweep import Sweep
from layercliff.readout import encoded_task
from layercliff.tasks.question import Task

L = families.N_LAYERS


@pytest.fixture
def many() -> Task:
    return word_tasks.task(200, "first_token", name="many")


def brief(model: Model, task: Task, **more: object) -> CriterionInput:
    parts = (encoded_task.ask(model, task, "first_token", task.questions),)
    text = (("text", encoded_task.passages(model, encoded_task.answered(task, task.questions[:6]))),)
    return CriterionInput(model, parts, text, (), L - 1, 0, 4096, **more)  # type: ignore[arg-type]


def path(given: CriterionInput, criterion: str, steps: int = 3) -> list[Step]:
    chooser = named(criterion).make(given)
    found = [Step(tuple(range(L)))]
    for _ in range(steps):
        after = chooser.choose(found[-1])
        assert after is not None
        found.append(after)
    return found[1:]


def test_loss_against_cutting_each_block_out(tiny: Model, many: Task) -> None:
    given = brief(tiny, many)
    before = tuple(range(L))
    for step in path(given, "loss", 2):
        for block, score in step.scores.items():
            less = families.network("llama")
            cut(less, [b for b in before if b != block])
            losses = []
            for row in given.text[0][1]:
                with torch.inference_mode():
                    logits = less(input_ids=torch.tensor([row.tokens])).logits[0]
                losses.append(float(torch.nn.functional.cross_entropy(logits, torch.tensor(row.targets))))
            assert score == pytest.approx(-np.mean(losses), rel=1e-4)
        assert step.removed == (max(step.scores, key=lambda b: step.scores[b]),)
        before = step.kept


def test_a_race_chooses_alike_with_fewer_passes(tiny: Model, many: Task) -> None:
    whole, raced = path(brief(tiny, many), "margin"), path(brief(tiny, many, race=0.05), "margin")
    assert [s.kept for s in raced] == [s.kept for s in whole]
    for step in raced:
        assert set(step.seen) == set(step.scores)
        assert step.seen[step.removed[0]] == max(step.seen.values())


@pytest.mark.parametrize("ends", [10, 18])
def test_looks_of_a_race_may_begin_otherwise(tiny: Model, monkeypatch: pytest.MonkeyPatch, ends: int) -> None:
    """What is known of the prefix of one look's prompts says nothing of another's, be it as long or longer."""
    plain = word_tasks.task(20, "first_token").questions
    given = [replace(q, text=f"{'blue' if i < ends else 'iron'} {q.text}") for i, q in enumerate(plain)]
    task = Task("words", tuple(given), "made up", "none", "first_token")
    whole = path(brief(tiny, task), "margin")
    monkeypatch.setattr(race, "looks", lambda *_: [np.arange(ends), np.arange(ends, 20)])
    for raced, exact in zip(path(brief(tiny, task, race=1e-9), "margin"), whole, strict=True):
        assert set(raced.seen.values()) == {20}
        assert raced.scores == pytest.approx(exact.scores, abs=1e-5)


def test_out_of_memory_halves_the_batch_and_chooses_the_same(
    tiny: Model, many: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = path(brief(tiny, many), "margin")
    notes: list[str] = []
    candidates = Sweep.candidates

    def crowded(self: Sweep, wanted: object = None) -> object:
        if self.passage.embedded.levels[-1].shape[0] > 30:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return candidates(self, wanted)  # type: ignore[arg-type]

    monkeypatch.setattr(Sweep, "candidates", crowded)
    found = path(brief(tiny, many, note=notes.append), "margin")
    assert [s.kept for s in found] == [s.kept for s in expected]
    assert all("going on with half" in note for note in notes)
    assert notes


@pytest.mark.parametrize("memory", [2**14, 2**16, 2**18])
def test_states_held_stay_within_the_memory_given(tiny: Model, memory: int) -> None:
    task = word_tasks.task(50, "first_token")
    chooser = named("margin").make(brief(tiny, task, memory_bytes=memory))
    assert isinstance(chooser, IterativeSelector)
    at = Step(tuple(range(L)))
    for _ in range(3):
        after = chooser.choose(at)
        assert after is not None
        at = after
        held = sum(
            stream.size
            for sweep in chooser._sweeps.values()
            for position, streams in sweep._known.items()
            for stream in streams.values()
            if position
        ) + sum(sweep.passage.size for sweep in chooser._sweeps.values())
        leads = sum(leads.held for leads in chooser._leads.values())
        assert held + leads <= memory
