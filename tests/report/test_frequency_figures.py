"""Stacked answers, their divergence and radar plots say what the analysis says, and can be drawn."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layercliff.choices import Format
from layercliff.metrics.analysis import analyse
from layercliff.readout.trace import Trace, TracedTask
from layercliff.report import chart, words
from layercliff.report.frequency_figures import Answering, figures
from layercliff.tasks.question import Question

N = 60
WORDS = [f"Kinshasa {i}" for i in range(11)]


def answering(name: str, places: tuple[int, ...], decided: int, form: Format, n_options: int = 4) -> Answering:
    """A made-up model that answers at random, and rightly from depth `decided` on."""
    rng = np.random.default_rng(0)
    options = [
        tuple(map(str, rng.permutation(WORDS)[:n_options])) if form != "letter" else tuple("wxyz"[:n_options])
        for _ in range(N)
    ]
    questions = tuple(Question(str(i), "q", o, int(rng.integers(n_options)), str(i)) for i, o in enumerate(options))
    gold = np.array([q.gold for q in questions])
    scores = rng.normal(size=(len(places), N, n_options)).astype(np.float32)
    scores[decided:, np.arange(N), gold] += 4
    trace = Trace(
        scores,
        np.ones((N, n_options), bool),
        gold,
        np.full(scores.shape[:2], np.nan, np.float32),
        questions,
        ("t",) * N,
        ("report",) * N,
        {"t": TracedTask("t", form, "s", "test", "l")},
    )
    return Answering(name, analyse(trace, 100)["t"], places)


def rows(specification: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for data in specification["datasets"].values() for row in data]


@pytest.mark.parametrize("form", ["letter", "first_token"])
def test_models_side_by_side(form: Format, tmp_path: Path) -> None:
    dense = answering("dense", (0, 1, 2, 3, 4, 5), 3, form)
    light = answering("2 removed", (0, 1, 3, 5), 2, form)
    heavy = answering("4 removed", (0, 5), 9, form)
    found = {f.name: f for f in figures("x", [dense, light, heavy], "CAPTION")}
    assert set(found) == {"x-frequency", "x-divergence", "x-radar"}
    assert all("CAPTION" in f.caption for f in found.values())

    bars = [row for row in rows(found["x-frequency"].sized(600)) if "share" in row]
    columns = {row["column"] for row in bars}
    assert columns == {"gold·gold"} | {f"{m}·{p}" for m, one in enumerate([dense, light, heavy]) for p in one.places}
    for column in columns:
        assert sum(row["share"] for row in bars if row["column"] == column) == pytest.approx(1)
    first = light.frequency.labels[0]
    shown = next(row for row in bars if row["column"] == "1·3" and row["answer"] == first)
    assert shown["share"] == light.frequency.share[2, 0]
    assert (shown["share_low"], shown["written by"]) == (light.frequency.low[2, 0], "block 2")

    lines = [row for row in rows(found["x-divergence"].sized(600)) if "divergence" in row]
    kl = [row["divergence"] for row in lines if row["curve"] == "4 removed"]
    np.testing.assert_allclose(kl, heavy.frequency.kl.point)
    assert [row["depth"] for row in lines if row["curve"] == "2 removed"] == [0, 1, 3, 5]
    high = [row["divergence_reference_high"] for row in lines if row["curve"] == "4 removed"]
    np.testing.assert_allclose(high, heavy.frequency.kl.reference.high)

    ends = [row for row in rows(found["x-radar"].sized(600)) if "share" in row]
    assert {row["line"] for row in ends if row["plot"] == "4 removed (undecided)"} == {
        "depth 0",
        "last depth",
        "gold answers",
    }
    one = [row for row in ends if row["plot"] == "2 removed (T = 2)" and row["line"] == "T"]
    assert one[0]["answer"] == one[-1]["answer"]  # the outline is closed
    for number, row in enumerate(one[:-1]):
        c = light.frequency.labels.index(row["answer"])
        assert row["share"] == light.frequency.share[2, c]
        turn = 2 * math.pi * number / (len(one) - 1)
        radius = math.hypot(row["x"], row["y"])  # the middle plot of three stands at 0
        assert (row["x"], row["y"]) == pytest.approx((radius * math.sin(turn), radius * math.cos(turn)), abs=1e-9)
        assert radius * max(one, key=lambda r: r["share"])["share"] == pytest.approx(
            row["share"] * max(math.hypot(r["x"], r["y"]) for r in one), abs=1e-9
        )
    if form == "first_token":
        assert "1: Kinshasa" in found["x-radar"].caption
    for path in chart.write(found.values(), tmp_path, ("svg",)):
        assert "2 removed" in path.read_text()


def test_a_radar_plot_needs_three_answers() -> None:
    names = [f.name for f in figures("x", [answering("dense", (0, 1, 2), 2, "letter", 2)], "")]
    assert names == ["x-frequency", "x-divergence"]


def test_bias_in_words() -> None:
    """A model that answers at random, but for the accuracy that it has, has no preference."""
    said = words.prediction_bias(answering("dense", (0, 1, 2), 2, "letter").analysis)
    assert said is not None
    assert "inside this band" in said
    assert "these 60 questions" in said
