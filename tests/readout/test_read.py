"""The readout against the slow and obvious way: one question at a time, one option at a time, the whole vocabulary."""

import families
import numpy as np
import pytest
import torch

from layercliff.errors import ModelError
from layercliff.models.model import Model
from layercliff.readout.batches import Batch, plan
from layercliff.readout.encode import TokenRow
from layercliff.readout.lens import LogitLens
from layercliff.readout.read import Reader


def rows(form: str, n: int = 7) -> list[TokenRow]:
    draw = np.random.default_rng(0)
    found = []
    for i in range(n):
        tokens = tuple(int(t) for t in draw.integers(3, families.VOCABULARY, 4 + i % 4))
        k = 2 + i % 3
        if form == "cloze":
            found.append(TokenRow(i, 0, tokens, (*tokens[-k + 1 :], 9)[:k]))
        else:
            found.append(
                TokenRow(
                    i, None, tokens, tuple(int(t) for t in draw.choice(range(3, families.VOCABULARY), k, replace=False))
                )
            )
    return found


def reader(model: Model, form: str, mass: str = "all") -> Reader:
    return Reader(model, LogitLens(model.anatomy.unembedding), form, mass)  # type: ignore[arg-type]


@torch.inference_mode()
def logits_by_depth(model: Model, tokens: tuple[int, ...]) -> torch.Tensor:
    """All logits at all depths of one sequence, through the model's own norm and head: [depth, position,
    vocabulary]."""
    states = [hidden[0] for _, hidden in model.anatomy.enter(torch.tensor([tokens])).depths()]
    return torch.stack(
        [
            model.anatomy.unembedding.vocabulary_logits(model.anatomy.unembedding.normed(s), 0, families.VOCABULARY)
            for s in states
        ]
    )


def loaded(family: str) -> Model:
    return Model.of(families.network(family), families.tokenizer(), family)


def test_batch_equals_one_by_one(family: str) -> None:
    """Mixed lengths in one batch, right-padded, in every family (learnt positions, ALiBi, windows, experts)."""
    model = loaded(family)
    wanted = rows("letter")
    reading = reader(model, "letter").read(Batch(tuple(wanted)))
    for number, row in enumerate(wanted):
        expected = logits_by_depth(model, row.tokens)[:, -1]
        k = len(row.targets)
        np.testing.assert_allclose(reading.scores[:, number, :k], expected[:, list(row.targets)], rtol=1e-4, atol=1e-5)
        assert np.isnan(reading.scores[:, number, k:]).all()
        np.testing.assert_allclose(
            reading.mass[:, number], expected.softmax(-1)[:, list(row.targets)].sum(-1), rtol=1e-4, atol=1e-6
        )


def test_cloze_equals_scoring_the_whole_string(family: str) -> None:
    model = loaded(family)
    wanted = rows("cloze")
    reading = reader(model, "cloze").read(Batch(tuple(wanted)))
    for number, row in enumerate(wanted):
        log_probability = logits_by_depth(model, row.tokens).log_softmax(-1)
        begin = len(row.tokens) - len(row.targets)
        expected = sum(log_probability[:, begin + j, target] for j, target in enumerate(row.targets))
        np.testing.assert_allclose(reading.scores[:, number, 0], expected, rtol=1e-4, atol=1e-4)


def alike(form: str) -> list[TokenRow]:
    """Rows with a common beginning; of *cloze*, several to a question with more in common."""
    draw = np.random.default_rng(1)
    found = []
    for q in range(4):
        own = tuple(int(t) for t in draw.integers(3, families.VOCABULARY, 3 + q))
        for o in range(3 if form == "cloze" else 1):
            tokens = (7, 8, 9, 10, 11, *own)
            if form == "cloze":
                targets = tuple(int(t) for t in draw.integers(3, families.VOCABULARY, 1 + o))
                found.append(TokenRow(q, o, tokens + targets[:-1], targets))
            else:
                found.append(TokenRow(q, None, tokens, (20 + q, 50 + q)))
    return found


@pytest.mark.parametrize("form", ["letter", "cloze"])
def test_what_rows_share_is_run_once_and_changes_nothing(family: str, form: str) -> None:
    """Against every row run whole, in every family (windows shorter than what is shared included)."""
    model = loaded(family)
    (batch,) = plan(alike(form), 10_000, share=model.anatomy.shares)
    assert batch.lead == 5
    assert len(batch.sequences) == (
        12 if form == "cloze" and family == "bloom" else 4
    )  # ALiBi counts tokens, not positions
    whole = reader(model, form, "none").read(Batch(batch.rows))
    shared = reader(model, form, "none").read(batch)
    np.testing.assert_allclose(shared.scores, whole.scores, rtol=1e-4, atol=1e-4)


def test_option_mass_where_asked(tiny: Model) -> None:
    batch = Batch(tuple(rows("letter")))
    everywhere = reader(tiny, "letter", "all").read(batch).mass
    last = reader(tiny, "letter", "last").read(batch).mass
    assert np.isfinite(everywhere).all()
    assert np.isnan(last[:-1]).all()
    np.testing.assert_array_equal(last[-1], everywhere[-1])
    assert np.isnan(reader(tiny, "letter", "none").read(batch).mass).all()


@pytest.mark.parametrize("form", ["letter", "cloze"])
def test_out_of_memory_halves_the_batch_and_goes_on(tiny: Model, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = Batch(tuple(plan(rows(form, 12), 10_000)[0].rows))
    expected = reader(tiny, form).read(batch)
    notes: list[str] = []
    reading = reader(tiny, form)
    reading.note = notes.append
    whole, tried = Reader._read_whole, []

    def crowded(self: Reader, batch: Batch, kept: object) -> object:
        tried.append(len(batch.rows))
        if len(batch.rows) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(self, batch, kept)

    monkeypatch.setattr(Reader, "_read_whole", crowded)
    found = reading.read(batch)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4, atol=1e-5)
    assert len(notes) == 1
    assert "Out of memory" in notes[0]
    failures = sum(n > 3 for n in tried)
    tried.clear()
    reading.read(batch)
    assert failures == 2
    assert all(n <= 3 for n in tried)  # what did not fit is not tried again


def test_a_row_that_never_fits_is_one_sentence(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Reader, _batch: Batch, _kept: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes")

    monkeypatch.setattr(Reader, "_read_whole", full)
    with pytest.raises(ModelError, match="A single row of 7 tokens does not fit"):
        reader(tiny, "letter").read(Batch((rows("letter")[3],)))


def test_other_errors_are_not_taken_for_memory(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: Reader, _batch: Batch, _kept: object) -> None:
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(Reader, "_read_whole", broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        reader(tiny, "letter").read(Batch(tuple(rows("letter"))))


def test_states_that_overflow_are_refused() -> None:
    model = loaded("llama")
    with torch.no_grad():
        model.network.model.layers[1].mlp.down_proj.weight.fill_(torch.inf)
    with pytest.raises(ModelError, match="NaN or infinite"):
        reader(model, "letter").read(Batch(tuple(rows("letter"))))


@pytest.mark.gpu
def test_cuda_equals_cpu() -> None:
    batch = Batch(tuple(rows("letter")))
    on_cpu = reader(loaded("llama"), "letter").read(batch)
    on_gpu = reader(Model.of(families.network("llama").cuda(), families.tokenizer()), "letter").read(batch)
    np.testing.assert_allclose(on_gpu.scores, on_cpu.scores, rtol=1e-3, atol=1e-3)


def test_what_all_batches_begin_with_is_run_once(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first batch of a reader; other rows with another beginning make it anew, and so do other blocks."""
    batches = plan(alike("letter"), 9, share="lead")
    assert len(batches) == 4
    expected = [reader(tiny, "letter").read(Batch(batch.rows)).scores for batch in batches]
    run: list[int] = []
    for block in tiny.anatomy.blocks:
        forward = block.forward
        monkeypatch.setattr(block, "forward", lambda h, *a, f=forward, **k: (run.append(h.shape[1]), f(h, *a, **k))[1])
    reading = reader(tiny, "letter")
    for batch, scores in zip(batches, expected, strict=True):
        np.testing.assert_allclose(reading.read(batch).scores, scores, rtol=1e-4, atol=1e-4)
    assert run.count(5) == tiny.n_layers + sum(len(b.rows[0].tokens) - 5 == 5 for b in batches) * tiny.n_layers
    other = tuple(TokenRow(r.question, None, (12, *r.tokens[1:]), r.targets) for r in batches[0].rows)
    reading.read(Batch(other, lead=5))
    np.testing.assert_allclose(
        reading.read(Batch(other, lead=5), (0, 2)).scores,
        reading.read(Batch(other), (0, 2)).scores,
        rtol=1e-4,
        atol=1e-4,
    )
