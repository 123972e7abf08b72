"""The tuned lens: the model itself at the last depth, a known map found again, what descent adds, files."""

import copy
from dataclasses import replace
from pathlib import Path

import families
import numpy as np
import pytest
import torch

from layercliff.errors import ModelError, TaskError
from layercliff.models.model import Model
from layercliff.readout import tuned_lens_file, tuned_lens_training
from layercliff.readout.batches import Batch
from layercliff.readout.encoded_task import ask
from layercliff.readout.gather import gather_states
from layercliff.readout.lens import Lens, LogitLens, TunedLens
from layercliff.readout.read import Reader
from layercliff.readout.tuned_lens_file import TrainedLens
from layercliff.readout.tuned_lens_training import LensTraining, TrainingStates
from layercliff.tasks import prose
from layercliff.tasks.question import Task

D, L = 32, families.N_LAYERS


def trained(model: Model, positions: int = 1500, steps: int = 0) -> TrainedLens:
    return tuned_lens_training.train(
        model, LensTraining("prose", prose.PARAGRAPHS, positions, steps, seed=0), batch_tokens=1000
    )


@pytest.fixture(scope="module")
def turning() -> tuple[Model, torch.Tensor, torch.Tensor]:
    """A tiny Llama whose last two blocks turn and shift the stream, each by the same rotation and shift."""
    network = families.network("llama")
    rotation, _ = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(1)))
    shift = torch.linspace(-1, 1, D)
    for block in network.model.layers[-2:]:
        block.forward = lambda hidden, *_, **__: hidden @ rotation.T + shift
    return Model.of(network, families.tokenizer(), "turning"), rotation, shift


@pytest.mark.parametrize("form", ["letter", "cloze"])
@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_the_last_depth_is_the_model_to_the_last_bit(family: str, form: str, colours: Task) -> None:
    model = Model.of(families.network(family), families.tokenizer(), family)
    draw = np.random.default_rng(0)
    weights = torch.from_numpy(draw.standard_normal((L, D, D), dtype=np.float32))
    lens = TunedLens(model.anatomy.unembedding, weights, torch.ones(L, D))
    assert isinstance(lens, Lens)
    part = ask(model, colours, form, colours.questions)  # type: ignore[arg-type]
    through = [
        Reader(model, one, part.reading, "none").read(Batch(part.rows)).scores
        for one in (LogitLens(model.anatomy.unembedding), lens)
    ]
    np.testing.assert_array_equal(through[1][-1], through[0][-1])
    for depth in range(L):
        assert np.nanmax(np.abs(through[1][depth] - through[0][depth])) > 0.01


def test_a_known_map_is_found_again(turning: tuple[Model, torch.Tensor, torch.Tensor]) -> None:
    """Before the last two blocks, the logit lens sees little of the answers that the tuned lens reads off."""
    model, rotation, shift = turning
    found = trained(model)
    identity = np.eye(D)
    for depth, turn, moved in (
        (L - 1, rotation, shift),
        (L - 2, rotation @ rotation, rotation @ shift + shift),
    ):
        np.testing.assert_allclose(found.weights[depth], turn.numpy() - identity, atol=0.02)
        np.testing.assert_allclose(found.biases[depth], moved.numpy(), atol=0.05)
    unembedding = model.anatomy.unembedding
    row = tuned_lens_training._rows(model, prose.PARAGRAPHS, 1500, 0)[1]  # it took no part
    states = torch.from_numpy(gather_states(model, [row], [range(1, len(row.tokens))], 1000))

    def likeliest(lens: Lens, depth: int) -> torch.Tensor:
        with torch.no_grad():
            return unembedding.vocabulary_logits(lens.readable(depth, states[depth]), 0, families.VOCABULARY).argmax(1)

    logit, through = LogitLens(unembedding), found.lens(model)
    answers = likeliest(logit, L)
    for depth in (L - 2, L - 1):
        assert (likeliest(through, depth) == answers).float().mean() > 0.9
        assert (likeliest(logit, depth) == answers).float().mean() < 0.3
        assert found.provenance.tuned[depth] < 0.01 * found.provenance.logit[depth]


def test_descent_lowers_the_divergence_that_least_squares_leave(tiny: Model) -> None:
    rows = tuned_lens_training._rows(tiny, prose.PARAGRAPHS, 900, 0)
    states = torch.from_numpy(gather_states(tiny, rows, [range(1, len(row.tokens)) for row in rows], 1000))
    before, after = (TrainingStates(states[depth, :400], states[depth, 400:], states[depth, 400:]) for depth in (2, L))
    unembedding = copy.deepcopy(tiny.anatomy.unembedding)
    left = []
    for steps in (0, 60):
        rng = np.random.default_rng(0)
        weight, bias, _ = tuned_lens_training.translator(unembedding, before, after, torch.arange(420), steps, rng)
        with torch.no_grad():
            read = unembedding.normed(before.choosing + before.choosing @ weight.T + bias)
            left.append(float(unembedding.divergences(unembedding.normed(after.choosing), read[None]).mean()))
    assert left[1] < 0.99 * left[0]


def test_losses_are_those_of_distributions_written_out(tiny: Model) -> None:
    found = trained(tiny, positions=400)
    unembedding = tiny.anatomy.unembedding
    rows = tuned_lens_training._rows(tiny, prose.PARAGRAPHS, 400, 0)
    states = []
    with torch.inference_mode():
        for _, hidden in tiny.anatomy.enter(torch.tensor([rows[1].tokens])).depths():
            states.append(hidden[0, 1 : 1 + found.provenance.held_out])
        own = unembedding.vocabulary_logits(unembedding.normed(states[-1]), 0, families.VOCABULARY).log_softmax(-1)
        for lens, losses in (
            (LogitLens(unembedding), found.provenance.logit),
            (found.lens(tiny), found.provenance.tuned),
        ):
            for depth in range(L):
                normed = lens.readable(depth, states[depth])
                read = unembedding.vocabulary_logits(normed, 0, families.VOCABULARY).log_softmax(-1)
                expected = float((own.exp() * (own - read)).sum(-1).mean())
                assert losses[depth] == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_least_squares_shrink_to_the_logit_lens() -> None:
    """A last depth that does not depend on this one: the strongest penalty is chosen, and the map is small."""
    draw = torch.Generator().manual_seed(0)
    before, moved = (TrainingStates(*(torch.randn(60, 24, generator=draw) for _ in range(3))) for _ in range(2))
    after = TrainingStates(*(b + m for b, m in zip(vars(before).values(), vars(moved).values(), strict=True)))
    *_, ridge = tuned_lens_training.least_squares(before, after)
    assert ridge == max(tuned_lens_training.RIDGES)
    *_, ridge = tuned_lens_training.least_squares(
        before, replace(before, fitted=2 * before.fitted, choosing=2 * before.choosing)
    )
    assert ridge == min(tuned_lens_training.RIDGES)


def test_drawn_tokens_stand_for_the_whole_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuned_lens_training, "LIKELY", 10)
    monkeypatch.setattr(tuned_lens_training, "OTHERS", 30)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    logits = torch.randn(200, generator=torch.Generator().manual_seed(1))
    rng = np.random.default_rng(0)
    sums = []
    for _ in range(400):
        tokens, weight = tuned_lens_training._drawn(order, rng)
        assert len(set(tokens.tolist())) == 40
        assert set(order[:10].tolist()) <= set(tokens.tolist())
        sums.append(float((logits[tokens] + weight).exp().sum()))
    assert np.mean(sums) == pytest.approx(float(logits.exp().sum()), rel=0.02)
    tokens, weight = tuned_lens_training._drawn(order[:40], rng)
    assert sorted(tokens.tolist()) == sorted(order[:40].tolist())
    assert not weight.any()


def test_files(tiny: Model, tmp_path: Path) -> None:
    found = trained(tiny, positions=400)
    tuned_lens_file.write(tmp_path / "tuned.safetensors", found)
    again = tuned_lens_file.read(tmp_path / "tuned.safetensors")
    np.testing.assert_array_equal(again.weights, found.weights)
    np.testing.assert_array_equal(again.biases, found.biases)
    assert again.provenance == found.provenance
    assert again.provenance.positions >= 400
    assert again.lens(tiny).readable(0, torch.ones(1, D)).shape == (1, D)
    other = Model.of(families.network("llama", seed=1), families.tokenizer(), "other")
    with pytest.raises(ModelError, match="trained on tiny"):
        again.lens(other)
    (tmp_path / "bad.safetensors").write_text("no lens")
    with pytest.raises(ModelError, match="holds no tuned lens"):
        tuned_lens_file.read(tmp_path / "bad.safetensors")
    with pytest.raises(TaskError, match="has 2 passages"):
        few = LensTraining("few", prose.PARAGRAPHS[:2], positions=400, steps=0, seed=0)
        tuned_lens_training.train(tiny, few, batch_tokens=1000)
