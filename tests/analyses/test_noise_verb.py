"""The noise verb on tiny models: the obvious loop, batches, resume, files, refusals."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import families
import numpy as np
import polars as pl
import pytest
import torch

import layercliff
from layercliff.analyses.noise.result import NoiseSettings
from layercliff.analyses.noise.spec import READINGS
from layercliff.errors import RunError
from layercliff.interventions.noise import Noise
from layercliff.models.blockwise_pass import ResidualStream
from layercliff.models.model import Model
from layercliff.readout.batches import Batch, read_from
from layercliff.readout.encoded_task import ask
from layercliff.tasks.question import Task

L = families.N_LAYERS


def runs(found: layercliff.InterventionResult[NoiseSettings]) -> np.ndarray:
    eps, draws = len(found.settings.eps), found.settings.draws
    return found.scores.reshape(eps, draws, L + 1, len(found.trace.questions), -1)


@pytest.mark.parametrize("form", ["letter", "first_token", "cloze"])
@pytest.mark.parametrize("positions", ["all", "decision"])
def test_no_noise_changes_nothing_to_the_last_bit(tiny: Model, colours: Task, form: str, positions: str) -> None:
    found = layercliff.noise(tiny, colours, format=form, eps=(0.0, 0.3), draws=1, positions=positions)
    for depth in range(L + 1):
        np.testing.assert_array_equal(runs(found)[0, 0, depth], found.trace.scores[-1])
    assert np.nanmax(np.abs(runs(found)[1, 0] - found.trace.scores[-1])) > 0.01


@pytest.mark.parametrize("form", ["first_token", "cloze"])
def test_against_hooks_on_the_network_itself(tiny: Model, colours: Task, form: Literal["first_token", "cloze"]) -> None:
    """The slow way: one prompt at a time through the network's own forward, noise added by a hook before a block."""
    found = layercliff.noise(tiny, colours, format=form, eps=(0.4,), draws=2, seed=3)
    asked = ask(tiny, colours, form, found.trace.questions)
    for number in (0, 4, 7):
        row = asked.rows[number]
        ids = tuple(f"colours\0{q.id}" for q in asked.questions)
        noise = Noise(ids, (0.4,), 2, "all", 3)
        for depth in (0, 2, 4):

            def hook(_: object, args: tuple[torch.Tensor, ...], depth: int = depth) -> tuple[torch.Tensor, ...]:
                stream, batch = ResidualStream((), (args[0],)), Batch((row,))  # noqa: B023
                return (noise.disturbed(stream, batch, depth, 1, 0.4).levels[0], *args[1:])  # noqa: B023

            handle = tiny.anatomy.blocks[depth].register_forward_pre_hook(hook)
            with torch.inference_mode():
                logits = tiny.network(input_ids=torch.tensor([row.tokens]), use_cache=False).logits[0]
            handle.remove()
            given = runs(found)[0, 1, depth, row.question]
            if row.option is None:
                np.testing.assert_allclose(
                    given[: len(row.targets)], logits[-1, list(row.targets)], rtol=1e-4, atol=1e-5
                )
            else:
                read = logits[read_from(row) :].log_softmax(-1)
                expected = float(read[range(len(row.targets)), list(row.targets)].sum())
                assert given[row.option] == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("form", ["first_token", "cloze"])
def test_results_do_not_depend_on_batches(tiny: Model, colours: Task, form: str) -> None:
    whole = layercliff.noise(tiny, colours, format=form, draws=1)  # type: ignore[arg-type]
    single = layercliff.noise(tiny, colours, format=form, draws=1, batch_tokens=1)  # type: ignore[arg-type]
    np.testing.assert_allclose(whole.scores, single.scores, rtol=1e-3, atol=1e-4)
    assert single.cost["batches"] > whole.cost["batches"]


def test_passes_are_counted(tiny: Model, colours: Task) -> None:
    found = layercliff.noise(tiny, colours, draws=2, eps=(0.1, 0.2))
    assert found.cost["block_passes"] == found.cost["batches"] * (L + 4 * L * (L + 1) // 2)


def test_files_and_reading_back(tiny: Model, colours: Task, tmp_path: Path) -> None:
    said: list[str] = []
    note: Callable[[str], None] = said.append
    found = layercliff.noise(tiny, colours, draws=2, out=tmp_path / "run")
    again = layercliff.noise(tiny, colours, draws=2, out=tmp_path / "run", note=note)
    assert "not computed again" in said[0]
    np.testing.assert_array_equal(again.scores, found.scores)
    table = pl.read_parquet(tmp_path / "run" / "noise" / "noise.parquet")
    assert table.height == len(READINGS) * (L + 1)
    assert set(table["depth"]) == set(range(L + 1))
    row = table.filter((pl.col("eps") == 0.5) & (pl.col("depth") == 1)).to_dicts()[0]
    margin, _ = found.decisions
    drawn = margin.reshape(len(READINGS), 2, L + 1, -1)[list(READINGS).index(0.5), :, 1]
    assert row["margin"] == pytest.approx(drawn.mean())
    base = row["margin"] - row["margin_change"]
    assert row["margin_draw_least"] == pytest.approx(drawn.mean(1).min() - base)
    assert row["margin_draw_greatest"] == pytest.approx(drawn.mean(1).max() - base)
    assert 'id="analysis-noise"' in (tmp_path / "run" / "report.html").read_text()
    assert {path.stem for path in layercliff.figures(tmp_path / "run", ("svg",))} == {"noise-margin", "noise-accuracy"}
    more = layercliff.noise(tiny, colours, draws=3, out=tmp_path / "run")  # takes its place
    assert more.settings.draws == 3
    np.testing.assert_array_equal(
        more.scores.reshape(len(READINGS), 3, L + 1, -1)[:, :2], found.scores.reshape(len(READINGS), 2, L + 1, -1)
    )
    assert not (tmp_path / "run" / "noise" / "journal.sqlite").exists()


def test_an_interrupted_analysis_goes_on(
    tiny: Model, colours: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = layercliff.noise(tiny, colours, draws=1, batch_tokens=20)
    disturbed, left = Noise.disturbed, [100]

    def interrupted(self: Noise, *arguments: object, **named: object) -> ResidualStream:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return disturbed(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Noise, "disturbed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        layercliff.noise(tiny, colours, draws=1, batch_tokens=20, out=tmp_path / "run")
    left[0] = whole.cost["batches"] * len(READINGS) * (L + 1) - 60  # not enough for all of it again
    found = layercliff.noise(tiny, colours, draws=1, batch_tokens=20, out=tmp_path / "run")
    np.testing.assert_array_equal(found.scores, whole.scores)


def test_the_transition_is_the_traces(tiny: Model, colours: Task, tmp_path: Path) -> None:
    traced = layercliff.trace(tiny, colours, out=tmp_path / "run")
    found = layercliff.noise(tiny, colours, draws=1, out=tmp_path / "run")
    assert found.transition == traced.transition_depth
    np.testing.assert_allclose(found.trace.scores, traced.trace.scores, rtol=1e-4, atol=1e-5)


def test_several_tasks(tiny: Model, colours: Task, tmp_path: Path) -> None:
    shades = Task("shades", colours.questions[:5], "s", "l", "letter")
    layercliff.noise(tiny, [colours, shades], draws=1, out=tmp_path / "run")
    table = pl.read_parquet(tmp_path / "run" / "noise" / "noise.parquet")
    assert set(table["task"]) == {"colours", "shades", "joint"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"eps": (-0.1,)}, "--eps holds -0.1"),
        ({"eps": ()}, "names no size"),
        ({"draws": 0}, "--draws is 0, and must be"),
    ],
)
def test_refusals(tiny: Model, colours: Task, arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(RunError, match=sentence):
        layercliff.noise(tiny, colours, **arguments)  # type: ignore[arg-type]
