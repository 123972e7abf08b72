"""How many questions would settle whether a model decides."""

import re
from dataclasses import replace

import numpy as np
import pytest

from layercliff.metrics.phases import transition
from layercliff.paper_claims.deciding import enough
from layercliff.paper_claims.intervals import Sampled


def drawn(mean: float, accuracy: float, n: int) -> tuple[np.ndarray, np.ndarray, Sampled]:
    """Margins of exactly this mean with a deviation of 1, right answers of this share, and their resamples."""
    margin = np.random.default_rng(0).normal(size=n)
    margin = (margin - margin.mean()) / margin.std() + mean
    correct = (np.arange(n) < round(accuracy * n)).astype(np.float64)
    return margin, correct, Sampled.of([str(i) for i in range(n)])


@pytest.mark.parametrize(("mean", "accuracy"), [(0.1, 0.6), (-0.1, 0.6), (0.5, 0.29), (0.5, 0.2)])
def test_as_many_questions_as_are_told_do_settle_it(mean: float, accuracy: float) -> None:
    """Fewer questions, with the same margins and right answers, do not, and more do: a trace would show a transition
    depth, or an interval that there is none."""
    n, chance = 100, 0.25
    margin, correct, sampled = drawn(mean, accuracy, n)
    said = enough(margin, correct, chance, sampled)
    (number,) = (int(text.replace(",", "")) for text in re.findall(r"about ([\d,]+) questions", said))
    for times, settled in ((0.7, False), (1.4, True)):
        margin, correct, sampled = drawn(mean, accuracy, round(times * number))
        resampled = sampled.resamples.means(np.stack([margin, correct]))
        found = transition(
            margin.mean(keepdims=True), correct.mean(keepdims=True), resampled[:, :1], resampled[:, 1:], chance
        )
        shown_not_to = any(replace(sampled, tail=0.025).mean(values).high < 0 for values in (margin, correct - chance))
        assert (found.shown or shown_not_to) == settled


def test_a_model_that_is_shown_not_to_decide_needs_no_more() -> None:
    margin, correct, sampled = drawn(-0.8, 0.2, 200)
    assert "more questions would not change it" in enough(margin, correct, 0.25, sampled)


def test_both_together_need_a_little_more_than_each() -> None:
    margin, correct, sampled = drawn(0.21, 0.36, 100)
    assert "a few more questions" in enough(margin, correct, 0.25, sampled)


def test_no_number_where_none_would_do() -> None:
    margin, correct, sampled = drawn(0.0, 0.6, 100)
    assert "No number of questions" in enough(margin - margin.mean(), correct, 0.25, sampled)
