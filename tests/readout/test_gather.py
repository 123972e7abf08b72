"""Gathered states are those of the prompts one by one."""

import numpy as np
import pytest
import torch

from layercliff.models.model import Model
from layercliff.readout.batches import plan
from layercliff.readout.encoded_task import ask
from layercliff.readout.gather import StateGatherer, gather_states, places
from layercliff.readout.lens import LogitLens
from layercliff.readout.read import Reader
from layercliff.tasks.question import Task


@pytest.mark.parametrize("form", ["letter", "first_token", "cloze"])
@pytest.mark.parametrize("kept", [(0, 1, 2, 3, 4), (1, 3)])
@torch.inference_mode()
def test_states_of_prompts_one_by_one(tiny: Model, colours: Task, form: str, kept: tuple[int, ...]) -> None:
    part = ask(tiny, colours, form, colours.questions)  # type: ignore[arg-type]
    where = places(part, 3, 0)
    gather = StateGatherer(kept, where)
    reader = Reader(tiny, LogitLens(tiny.anatomy.unembedding), part.form, "none")
    for batch in plan(part.rows, 60):
        reading = reader.read(batch, gather)
        np.testing.assert_array_equal(reading.scores, reader.read(batch, kept).scores)
    for question in (0, 5, 11):
        tokens = next(row.tokens for row in part.rows if row.question == question)
        passage = tiny.anatomy.enter(torch.tensor([tokens]))
        expected = torch.stack([hidden[0, where[question]] for _, hidden in passage.depths(kept)])
        np.testing.assert_allclose(gather.states(question), expected.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["first_token", "cloze"])
def test_places_are_the_prompts_own(tiny: Model, colours: Task, form: str) -> None:
    part = ask(tiny, colours, form, colours.questions)  # type: ignore[arg-type]
    where = places(part, 3, 0)
    prompts = {q: r.tokens for q, r in enumerate(ask(tiny, colours, "first_token", colours.questions).rows)}
    assert set(where) == set(range(12))
    for question, (last, *some) in where.items():
        prompt = prompts[question]
        assert last == len(prompt) - 1
        assert some == sorted(set(some))
        assert len(some) == 3
        for place in some:
            assert place <= last
            assert len({other[: place + 1] for other in prompts.values()}) > 1  # not what all begin with
    assert where == places(part, 3, 0)
    assert where != places(part, 3, 1)
    few = part.subset([3, 8, 9])
    assert [places(few, 3, 0)[i] for i in range(3)] == [where[i] for i in (3, 8, 9)]  # a question's own draw


def test_gathered_states_come_row_after_row(tiny: Model, colours: Task) -> None:
    rows = ask(tiny, colours, "cloze", colours.questions).rows[:9]
    wanted = [range(number % 3, len(row.tokens)) for number, row in enumerate(rows)]
    found = gather_states(tiny, rows, wanted, 40)
    begin = 0
    for row, where in zip(rows, wanted, strict=True):
        with torch.inference_mode():
            states = [hidden[0, list(where)] for _, hidden in tiny.anatomy.enter(torch.tensor([row.tokens])).depths()]
        here = found[:, begin : (begin := begin + len(where))]
        np.testing.assert_allclose(here, torch.stack(states).numpy(), rtol=1e-4, atol=1e-5)
    assert begin == found.shape[1]
