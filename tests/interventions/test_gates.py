"""Derivatives by the gates of blocks, against moving each gate a little."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import families
import numpy as np
import pytest
import torch
from transformers import PretrainedConfig

from layercliff.choices import Format
from layercliff.interventions import gates
from layercliff.metrics import decision
from layercliff.models.blockwise_pass import BlockwisePass, ResidualStream
from layercliff.models.model import Model
from layercliff.readout import encoded_task
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.lens import LogitLens
from layercliff.readout.read import Reader
from layercliff.run.directory import Journal
from layercliff.tasks.question import Task

STEP = 0.005


def scores_with(model: Model, part: EncodedTask, gate: dict[int, float]) -> np.ndarray:
    """The scores at the last depth of the model whose blocks are gated."""

    def gated(passage: BlockwisePass, _: object) -> list[tuple[int, torch.Tensor]]:
        stream = passage.embedded
        for block in range(model.n_layers):
            (before,), (after,) = stream.levels, passage.block(block, stream).levels
            stream = ResidualStream((), (before + gate.get(block, 1.0) * (after - before),))
        return [(model.n_layers, stream.levels[0])]

    reader = Reader(model, LogitLens(model.anatomy.unembedding), part.reading, "none")
    return part.scores((batch, reader.read(batch, gated)) for batch in part.batches(200, "rows"))[0][0]


def gold(scores: np.ndarray, part: EncodedTask) -> np.ndarray:
    return np.log(decision.probabilities(scores[None], part.mask)[0, np.arange(len(part.gold)), part.gold])


def every_expert(make: Callable[[], PretrainedConfig]) -> PretrainedConfig:
    """A mixture that sends tokens to all experts: choosing among them is no smooth function of a gate."""
    config = make()
    if hasattr(config, "num_experts"):
        config.num_experts_per_tok = config.num_experts
    return config


@pytest.mark.parametrize("form", ["letter", "cloze", "first_token"])
def test_against_moving_each_gate(family: str, form: Format, colours: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    if form != "cloze" and family not in ("llama", "gemma2", "qwen3_moe"):
        pytest.skip("the other formats differ in what is read, not in the family")
    monkeypatch.setitem(families.CONFIGS, family, partial(every_expert, families.CONFIGS[family]))
    model = Model.of(families.network(family), families.tokenizer())
    part = encoded_task.ask(model, colours, form, colours.questions[:5])
    found = gates.gradients(model, part, scores_with(model, part, {}), 200)
    for block in range(model.n_layers):
        up, down = (gold(scores_with(model, part, {block: 1 + move}), part) for move in (STEP, -STEP))
        np.testing.assert_allclose(found[block], (up - down) / (2 * STEP), rtol=0.03, atol=3e-3)
    assert np.abs(found).max() > 0.01
    assert all(parameter.grad is None for parameter in model.network.parameters())


def test_narrow_weights_are_cast_on_the_way_back(colours: Task) -> None:
    narrow = families.network("gpt2").to(torch.bfloat16)
    wide = Model.of(families.network("gpt2").to(torch.bfloat16).float(), families.tokenizer())
    stored = Model.of(narrow, families.tokenizer(), dtype=torch.float32)
    part = encoded_task.ask(wide, colours, "letter", colours.questions[:4])
    scores = scores_with(wide, part, {})
    np.testing.assert_allclose(
        gates.gradients(stored, part, scores, 200), gates.gradients(wide, part, scores, 200), rtol=1e-2, atol=1e-3
    )
    assert next(narrow.parameters()).dtype == torch.bfloat16


def test_batches_change_nothing_and_finished_ones_are_kept(
    tiny: Model, colours: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = encoded_task.ask(tiny, colours, "cloze", colours.questions)
    scores = scores_with(tiny, part, {})
    whole = gates.gradients(tiny, part, scores, 4000)
    with Journal(tmp_path / "journal.sqlite") as journal:
        first = gates.gradients(tiny, part, scores, 60, journal, "s")
        np.testing.assert_allclose(first, whole, rtol=1e-3, atol=1e-5)
        monkeypatch.setattr(gates, "_of_batch", lambda *_: pytest.fail("computed again"))
        np.testing.assert_array_equal(gates.gradients(tiny, part, scores, 60, journal, "s"), first)
