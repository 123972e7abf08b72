"""The lens verb on tiny models: what each lens reads, files, resume, a lens of another run, refusals."""

from collections.abc import Callable
from pathlib import Path

import families
import numpy as np
import polars as pl
import pytest
import torch

import layercliff
from layercliff.analyses.lens import result as lensed
from layercliff.errors import LayercliffError
from layercliff.metrics import linear_probe
from layercliff.models.model import Model
from layercliff.readout import tuned_lens_file, tuned_lens_training
from layercliff.readout.encoded_task import ask
from layercliff.tasks.question import Task

L = families.N_LAYERS
SMALL = {"text": "prose", "tokens": 400, "steps": 2}


def by_lens(found: layercliff.InterventionResult) -> dict[str, np.ndarray]:
    return dict(zip(lensed.besides(found), found.scores.reshape(-1, L + 1, *found.scores.shape[1:]), strict=True))


@pytest.mark.parametrize("form", ["letter", "first_token", "cloze"])
def test_lenses_of_every_format(tiny: Model, colours: Task, form: str) -> None:
    found = layercliff.lens(tiny, colours, format=form, **SMALL)  # type: ignore[arg-type]
    read = by_lens(found)
    assert list(read) == ["tuned", "probe", lensed.CONTROL]
    np.testing.assert_array_equal(found.trace.scores, layercliff.trace(tiny, colours, format=form).trace.scores)
    np.testing.assert_array_equal(read["tuned"][-1], found.trace.scores[-1])
    assert all(np.nanmax(np.abs(read["tuned"][d] - found.trace.scores[d])) > 1e-3 for d in range(L))
    for scores in read.values():
        np.testing.assert_array_equal(np.isnan(scores), np.broadcast_to(~found.trace.mask, scores.shape))


def test_the_probe_is_given_the_states_of_prompt_and_option(tiny: Model, colours: Task) -> None:
    """The slow way: every option put after its prompt by itself."""
    found = layercliff.lens(tiny, colours, lenses=("probe",), seed=4)
    questions = found.trace.questions
    prompts = ask(tiny, colours, "first_token", questions).prompts
    states = np.zeros((L + 1, len(questions), found.trace.mask.shape[1], 32), np.float32)
    for number, question in enumerate(questions):
        for option in range(len(question.options)):
            ids = tiny.tokenizer(prompts[number].contexts[0] + prompts[number].continuations[option]).input_ids
            with torch.inference_mode():
                for depth, hidden in tiny.anatomy.enter(torch.tensor([ids])).depths():
                    states[depth, number, option] = hidden[0, -1].numpy()
    fold = linear_probe.folds([question.group for question in questions], 4)
    for depth in (0, 3):
        expected = linear_probe.cross_validated(states[depth], found.trace.mask, found.trace.gold, fold)
        np.testing.assert_allclose(by_lens(found)["probe"][depth], expected, atol=2e-2)


def test_files_and_reading_back(tiny: Model, colours: Task, tmp_path: Path) -> None:
    said: list[str] = []
    note: Callable[[str], None] = said.append
    run = tmp_path / "run"
    found = layercliff.lens(tiny, colours, out=run, **SMALL)  # type: ignore[arg-type]
    again = layercliff.lens(tiny, colours, out=run, note=note, **SMALL)  # type: ignore[arg-type]
    assert "not computed again" in said[0]
    np.testing.assert_array_equal(again.scores, found.scores)
    table = pl.read_parquet(run / "lens" / "lens.parquet")
    assert table.height == 4 * (L + 1)
    logit = table.filter(pl.col("lens") == "logit")
    traced = layercliff.trace(tiny, colours, out=run)
    np.testing.assert_allclose(logit["margin"], traced.main.margin.point)
    np.testing.assert_allclose(logit["accuracy_low"], traced.main.accuracy.low)
    assert (logit["margin_gain"].abs() < 1e-12).all()
    through = table.filter(pl.col("lens") == "tuned")
    np.testing.assert_allclose(through["margin_gain"], through["margin"] - logit["margin"], atol=1e-12)
    assert through["margin_gain"][-1] == through["margin_gain_high"][-1] == 0
    assert table.filter(pl.col("lens") == lensed.CONTROL)["margin_gain"].is_null().all()
    about = tuned_lens_file.read(run / "lens" / "tuned.safetensors").provenance
    assert (about.model, about.revision, about.text, about.steps) == ("tiny", tiny.revision, "prose", 2)
    assert len(about.tuned) == len(about.logit) == len(about.ridge) == L
    assert 'id="analysis-lens"' in (run / "report.html").read_text()
    names = {path.stem for path in layercliff.figures(run, ("svg",)) if path.stem.startswith("lens")}
    assert names == {"lens-margin", "lens-accuracy", "lens-divergence"}
    assert not (run / "lens" / "journal.sqlite").exists()


def test_a_lens_of_another_run(tiny: Model, colours: Task, tmp_path: Path) -> None:
    first = layercliff.lens(tiny, colours, lenses=("tuned",), out=tmp_path / "a", **SMALL)  # type: ignore[arg-type]
    file = tmp_path / "a" / "lens" / "tuned.safetensors"
    shades = Task("shades", colours.questions[:7], "s", "l", "letter")
    second = layercliff.lens(tiny, [colours, shades], trained=file, out=tmp_path / "b")
    np.testing.assert_allclose(
        by_lens(second)["tuned"][:, : len(colours.questions)], by_lens(first)["tuned"], rtol=1e-4, atol=1e-5
    )
    assert second.settings.provenance == first.settings.provenance
    table = pl.read_parquet(tmp_path / "b" / "lens" / "lens.parquet")
    assert set(table["task"]) == {"colours", "shades", "joint"}
    other = Model.of(families.network("llama", seed=1), families.tokenizer(), "other")
    with pytest.raises(LayercliffError, match="trained on tiny"):
        layercliff.lens(other, colours, trained=file)


def test_an_interrupted_analysis_goes_on(
    tiny: Model, colours: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = layercliff.lens(tiny, colours, **SMALL)  # type: ignore[arg-type]
    for place, name in ((tuned_lens_training, "translator"), (linear_probe, "cross_validated")):
        original, calls = getattr(place, name), []

        def interrupted(
            *arguments: object, original: Callable[..., object] = original, calls: list[int] = calls
        ) -> object:
            calls.append(1)
            if len(calls) == 4:
                raise KeyboardInterrupt
            return original(*arguments)

        monkeypatch.setattr(place, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            layercliff.lens(tiny, colours, out=tmp_path / "run", **SMALL)  # type: ignore[arg-type]
        monkeypatch.setattr(place, name, original)
    trained: list[int] = []
    fitted: list[int] = []
    translator, cross_validated = tuned_lens_training.translator, linear_probe.cross_validated
    monkeypatch.setattr(tuned_lens_training, "translator", lambda *a: trained.append(1) or translator(*a))
    monkeypatch.setattr(linear_probe, "cross_validated", lambda *a: fitted.append(1) or cross_validated(*a))
    found = layercliff.lens(tiny, colours, out=tmp_path / "run", **SMALL)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.scores, whole.scores)
    assert not trained  # finished before the second interruption
    assert len(fitted) == 2 * (L + 1) - 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"lenses": ()}, "No lens was named"),
        ({"tokens": 0}, "--tokens is 0, and must be"),
        ({"text": "gone.txt"}, "no text file gone.txt"),
        ({"trained": "gone.safetensors"}, "holds no tuned lens"),
    ],
)
def test_refusals(tiny: Model, colours: Task, arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(LayercliffError, match=sentence):
        layercliff.lens(tiny, colours, **arguments)  # type: ignore[arg-type]


def test_text_that_is_asked_about_is_refused(tiny: Model, colours: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    from layercliff.tasks import text

    monkeypatch.setattr(text, "load", lambda _: ("one two three",) * 20)
    boolq = Task("boolq", colours.questions, "made up", "none", "first_token")
    with pytest.raises(LayercliffError, match="what boolq asks about"):
        layercliff.lens(tiny, boolq)
