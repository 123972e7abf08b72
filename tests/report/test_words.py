"""Sentences say what the figures say."""

from dataclasses import replace

import numpy as np
import pytest

from layercliff.analyses.similarity import figures as similarity_figures
from layercliff.metrics.analysis import Analysis
from layercliff.metrics.phases import Jump, Transition
from layercliff.metrics.statistics import Curve
from layercliff.report import words


@pytest.fixture
def analysis() -> Analysis:
    values = np.linspace(-0.5, 0.8, 19)
    curve = Curve(values, values - 0.1, values + 0.1)
    jump = Jump(12, 12, 13, 1.15, (1.0, 1.3), 0.64, (0.5, 0.7))
    at = Transition(13, 13.0, 13.0, 0.0)
    return Analysis(
        "t", 158, 158, 2000, 0.25, curve, curve, curve, np.full(19, 0.5), None, at, jump, by_sign=at, half=at
    )


def test_decided(analysis: Analysis) -> None:
    assert words.verdict(analysis) == "The decision forms in block 12 of 18 (depth 13, 95 % interval 13-13)."
    assert (
        words.phases(analysis) == "Silent Phase: blocks 0-12; Decisive Phase: blocks 13-17. Blocks are counted from 0."
    )
    assert words.jump(analysis) == "Largest rise: block 12, +1.15 [+1.00, +1.30], 64% of all rises [50%, 70%]."


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        (18, "blocks 0-17; Decisive Phase: empty"),
        (17, "blocks 0-16; Decisive Phase: block 17"),
        (1, "block 0; Decisive Phase: blocks 1-17"),
    ],
)
def test_phases_at_the_ends(analysis: Analysis, depth: int, expected: str) -> None:
    assert expected in str(words.phases(replace(analysis, transition=Transition(depth, 1.0, 18.0, 0.0))))


def test_boundaries_beside_t(analysis: Analysis) -> None:
    assert words.boundaries(analysis) is None
    shown = replace(analysis, jump=replace(analysis.jump, p=0.005), half=Transition(12, 12.0, 13.0, 0.0))
    assert words.boundaries(shown) == "T_half, the middle of the rise: depth 12 [12-13]."
    apart = replace(shown, by_sign=Transition(None, 14.0, float("inf"), 0.6), jump=replace(analysis.jump, p=0.2))
    assert words.boundaries(apart) == (
        "By the sign of the margin alone, as the paper reads it, none. "
        "The largest rise is no larger than with shuffled answers (p = 0.2): no T_half."
    )


def test_few_questions_are_told(analysis: Analysis) -> None:
    assert words.few_questions(replace(analysis, n_groups=30)) == ""
    assert words.few_questions(replace(analysis, n_groups=29)).startswith("29 independent questions are few;")


def test_partly_undecided(analysis: Analysis) -> None:
    text = words.verdict(replace(analysis, transition=Transition(13, 13.0, float("inf"), 0.1)))
    assert "interval 13-undecided; 10% of resamples are undecided" in text


def test_undecided(analysis: Analysis) -> None:
    text = words.verdict(replace(analysis, transition=Transition(None, 13.0, float("inf"), 0.9)))
    assert text.startswith("The model is undecided: up to its last depth, 18,")
    assert words.phases(replace(analysis, transition=Transition(None, 13.0, float("inf"), 0.9))) is None


def test_decided_before_the_first_block(analysis: Analysis) -> None:
    assert "before the first block" in words.verdict(replace(analysis, transition=Transition(0, 0.0, 0.0, 0.0)))


def test_one_block_is_no_blocks() -> None:
    assert [words.blocks_of(n) for n in (0, 1, 2)] == ["0 blocks", "1 block", "2 blocks"]


def test_what_was_not_measured_is_not_zero() -> None:
    assert similarity_figures._measured(None) == "not measured"
    assert similarity_figures._measured(0.0) == "+0.000"
