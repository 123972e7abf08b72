"""Controls of a trace against loops, and what they must say of a model that knows everything."""

import numpy as np
import pytest

from layercliff.choices import Format
from layercliff.metrics import controls, decision
from layercliff.metrics.analysis import analyse
from layercliff.readout.trace import Trace, TracedTask
from layercliff.tasks.question import Question


def trace(form: Format, n: int = 40, sizes: tuple[int, ...] = (4,), depths: int = 5, name: str = "t") -> Trace:
    """A model that knows every answer from depth 3 on."""
    rng = np.random.default_rng(1)
    widths = [sizes[i % len(sizes)] for i in range(n)]
    questions = tuple(
        Question(str(i), "q", tuple(f"{i} {k}" for k in range(width)), int(rng.integers(width)), str(i))
        for i, width in enumerate(widths)
    )
    gold = np.array([q.gold for q in questions])
    mask = np.arange(max(sizes)) < np.array(widths)[:, None]
    scores = rng.normal(size=(depths, n, max(sizes))).astype(np.float32)
    scores[3:, np.arange(n), gold] += 9
    scores[:, ~mask] = np.nan
    about = {name: TracedTask(name, form, "s", "test", "l")}
    return Trace(
        scores, mask, gold, np.full((depths, n), np.nan, np.float32), questions, (name,) * n, ("report",) * n, about
    )


@pytest.mark.parametrize("form", ["letter", "cloze"])
def test_the_model_itself_is_as_analysed(form: Format) -> None:
    real = trace(form)
    found, analysed = controls.outcome([real], 200), analyse(real, 200)["t"]
    np.testing.assert_array_equal(found.margin.low, analysed.margin.low)
    assert found.transition == analysed.transition
    assert found.transition.depth == 3
    assert (found.decided, found.draws, found.n_questions) == (1.0, 1, 40)


@pytest.mark.parametrize("form", ["letter", "cloze"])
def test_other_golds_leave_the_model_undecided(form: Format) -> None:
    real = trace(form)
    for change in (controls.shuffled_gold, controls.wrong_gold):
        draws = [change(real, np.random.default_rng([7, i])) for i in range(10)]
        found = controls.outcome([one for one in draws if one is not None], 200)
        assert found.transition.depth is None
        assert found.decided == 0
        assert found.margin.point[-1] < 0


def test_shuffles_of_two_options_by_luck() -> None:
    """Half of all are above 0, and next to none is shown to decide."""
    real = trace("letter", n=120, sizes=(2,))
    draws = [controls.shuffled_gold(real, np.random.default_rng([7, i])) for i in range(20)]
    found = controls.outcome(draws, 400)
    assert (found.margins[:, -1] > 0).mean() > 0.25
    assert found.decided <= 0.1


def test_the_mean_over_draws_against_a_loop() -> None:
    real = trace("cloze")
    draws = [controls.shuffled_gold(real, np.random.default_rng([7, i])) for i in range(3)]
    assert len({tuple(one.gold) for one in draws}) == 3
    margins = []
    for one in draws:
        p = np.exp(one.scores[4].astype(float))
        p /= p.sum(1, keepdims=True)
        margins.append([p[i, g] - max(p[i, k] for k in range(4) if k != g) for i, g in enumerate(one.gold)])
    found = controls.outcome(draws, 100)
    assert found.margin.point[4] == pytest.approx(np.mean(margins))
    np.testing.assert_allclose(found.margins[:, 4], np.mean(margins, 1))
    assert found.margin.low[4] <= found.margin.point[4] <= found.margin.high[4]


def test_letters_exchange_among_equal_option_counts() -> None:
    real = trace("letter", sizes=(3, 4))
    found = controls.shuffled_gold(real, np.random.default_rng(0))
    widths = real.mask.sum(1)
    for width in (3, 4):
        assert sorted(found.gold[widths == width]) == sorted(real.gold[widths == width])
    assert (found.gold != real.gold).any()
    assert [q.gold for q in found.questions] == found.gold.tolist()


def test_the_same_options_exchange_their_strings() -> None:
    """Yes and no are right as often as before, whatever the order in which they are offered."""
    real = trace("cloze", sizes=(2,))
    questions = tuple(
        Question(str(i), "q", ("yes", "no") if i % 2 else ("no", "yes"), int((i % 10 < 3) == (i % 2 == 0)), str(i))
        for i in range(40)
    )
    real = Trace(
        real.scores,
        real.mask,
        np.array([q.gold for q in questions]),
        real.option_mass,
        questions,
        real.task_of,
        real.half_of,
        real.tasks,
    )
    found = controls.shuffled_gold(real, np.random.default_rng(0))
    strings = [[q.options[q.gold] for q in one.questions] for one in (real, found)]
    assert sorted(strings[0]) == sorted(strings[1])
    assert strings[0] != strings[1]
    assert controls.wrong_gold(real, np.random.default_rng(0)) is None  # there is no third option


def test_a_replaced_option_is_not_compared() -> None:
    real = trace("cloze", sizes=(2, 3, 4))
    found = controls.wrong_gold(real, np.random.default_rng(0))
    assert found is not None
    assert len(found.questions) == sum(len(q.options) > 2 for q in real.questions)
    before = {q.id: (i, q) for i, q in enumerate(real.questions)}
    for j, question in enumerate(found.questions):
        i, whole = before[question.id]
        assert question.options == tuple(o for o in whole.options if o != whole.options[whole.gold])
        for k, option in enumerate(question.options):
            np.testing.assert_array_equal(found.scores[:, j, k], real.scores[:, i, whole.options.index(option)])
        assert found.mask[j].sum() == len(question.options)
        assert found.gold[j] == question.gold


def test_constant_answers() -> None:
    letters = trace("letter")
    found = controls.constant_outcome(letters, 100)
    first, second = letters.gold[::2], letters.gold[1::2]
    right = [*(first == np.bincount(second).argmax()), *(second == np.bincount(first).argmax())]
    np.testing.assert_allclose(found.accuracy.point, np.mean(right))
    np.testing.assert_allclose(found.margin.point, 2 * np.mean(right) - 1)
    assert found.transition.depth is None
    strings = controls.constant_outcome(trace("cloze"), 100)  # every string is offered once
    np.testing.assert_allclose([strings.accuracy.point, strings.margin.point], 0)


def test_tasks_are_changed_each_by_itself() -> None:
    both = Trace.joined([trace("letter", name="a"), trace("cloze", name="b", sizes=(2, 3))])
    found = controls.shuffled_gold(both, np.random.default_rng(0))
    assert found.task_of == both.task_of
    assert sorted(found.of("a").gold) == sorted(both.of("a").gold)
    less = controls.wrong_gold(both, np.random.default_rng(0))
    assert less is not None
    assert [less.task_of.count(name) for name in ("a", "b")] == [40, 20]
    constant = controls.constant_outcome(both, 100)
    parts = [controls.constant_outcome(both.of(name), 100).margin.point[0] for name in ("a", "b")]
    assert constant.margin.point[0] == pytest.approx(np.mean(parts))
    assert decision.correctness(found.scores, found.mask, found.gold).shape == (5, 80)
