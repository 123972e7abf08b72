"""Every claim in worlds where it holds, fails, or cannot be told; and what its parts say."""

import itertools
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import worlds

from layercliff.metrics.collapse import Collapse
from layercliff.metrics.intervals import expanded, tango_upper
from layercliff.metrics.phases import Transition
from layercliff.paper_claims import c01_transition as transition
from layercliff.paper_claims import c03_silent_phase as silent
from layercliff.paper_claims import c04_collapse as cliff
from layercliff.paper_claims import c05_similarity as alike
from layercliff.paper_claims import c06_noise as fragile
from layercliff.paper_claims import c07_finetuning as recovery
from layercliff.paper_claims import requirements
from layercliff.paper_claims.c04_collapse import PathMargins
from layercliff.paper_claims.intervals import TAIL, Interval, Sampled
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import Claim, judge, more, part, undecided
from layercliff.paper_claims.share_of_rises import Share, Worst, around
from layercliff.run import stored_files

N = 300
SAMPLED = Sampled.of([f"g{i // 2}" for i in range(N)], resamples=2000)
FEW = Sampled.of([f"g{i}" for i in range(24)], resamples=2000)

World = Callable[[np.random.Generator, Sampled], Verdict]
HOLDS: dict[str, World] = {
    "C1": lambda rng, s: worlds.c1(rng, s, 0.8),
    "C2": lambda rng, s: worlds.c2(rng, s, 0.0),
    "C3": lambda rng, s: worlds.c3(rng, s, 0.4),
    "C4": lambda rng, s: worlds.c4(rng, s, 0.0),
    "C5": lambda rng, _: worlds.c5(rng, TAIL, 1.0, 0.2),
    "C6": lambda rng, s: worlds.c6(rng, s, 0.2),
    "C7": lambda rng, s: worlds.c7(rng, s, -0.3),
    "C9": lambda rng, s: worlds.c9(rng, s, 0.2),
    "C10": lambda rng, s: worlds.c10(rng, s, 0.0),
}
FAILS: dict[str, World] = {
    "C1": lambda rng, s: worlds.c1(rng, s, 0.25),
    "C2": lambda rng, s: worlds.c2(rng, s, 0.25),
    "C3": lambda rng, s: worlds.c3(rng, s, -0.1),
    "C4": lambda rng, s: worlds.c4(rng, s, 4.5),
    "C5": lambda rng, _: worlds.c5(rng, TAIL, 1.0, 0.9),
    "C6": lambda rng, s: worlds.c6(rng, s, -0.2),
    "C7": lambda rng, s: worlds.c7(rng, s, 0.3),
    "C9": lambda rng, s: worlds.c9(rng, s, -0.2),
    "C10": lambda rng, s: worlds.c10(rng, s, 0.25),
}
OPEN: dict[str, World] = {
    "C1": lambda rng, s: worlds.c1(rng, s, 0.5),
    "C2": lambda rng, s: worlds.c2(rng, s, 0.05),
    "C3": lambda rng, s: worlds.c3(rng, s, 0.1),
    "C4": lambda rng, s: worlds.c4(rng, s, 1.5),
    "C5": lambda rng, _: worlds.c5(rng, TAIL, 1.0, 0.5),
    "C6": lambda rng, s: worlds.c6(rng, s, 0.0),
    "C7": lambda rng, s: worlds.c7(rng, s, 0.0),
    "C9": lambda rng, s: worlds.c9(rng, s, 0.0),
    "C10": lambda rng, s: worlds.c10(rng, s, 0.05),
}


@pytest.mark.parametrize("claim", HOLDS)
def test_a_claim_that_holds_is_supported(claim: str) -> None:
    found = HOLDS[claim](np.random.default_rng(1), SAMPLED)
    assert (found.id, found.verdict, found.reason) == (claim, "supported", "")


@pytest.mark.parametrize("claim", FAILS)
def test_a_claim_that_fails_is_contradicted(claim: str) -> None:
    found = FAILS[claim](np.random.default_rng(2), SAMPLED)
    assert found.verdict == "contradicted"
    assert found.deciding is not None
    assert found.deciding.answer == "contradicted"


@pytest.mark.parametrize("claim", OPEN)
def test_few_questions_on_the_edge_are_undecided_with_a_reason(claim: str) -> None:
    found = OPEN[claim](np.random.default_rng(3), FEW)
    assert found.verdict == "undecided"
    assert "both sides" in found.reason or "two halves" in found.reason
    assert found.deciding is not None
    if "the control speaks against it" not in found.reason:
        told = "times as many questions" in found.reason and "no number" not in found.reason
        assert (found.deciding.questions_needed is not None) == told


def test_the_part_that_needs_most_says_how_many() -> None:
    """It needs more than its own questions."""
    half = part("half", Interval(0.06, 0.0, 0.12), (-np.inf, 0.05), 50)
    whole = part("whole", Interval(0.06, 0.03, 0.09), (-np.inf, 0.05), 400)
    assert half.questions_needed is not None and whole.questions_needed is not None
    assert half.questions_needed < whole.questions_needed
    for parts in ([half, whole], [whole, half]):
        times = f"{half.questions_needed / 50:,.1f} times as many questions ({half.questions_needed:,} in place of 50)"
        assert times in judge(Claim("C0", "", ""), parts, "").reason
    assert more(51, 50) == "about 1.1 times as many questions (51 in place of 50)"
    assert more(119, 50) == "about 2.4 times as many questions (119 in place of 50)"


def test_as_many_questions_as_are_asked_for_do_settle_it() -> None:
    for point, expected in ((0.02, "supported"), (0.11, "contradicted")):
        half = 0.06
        open_one = part("x", Interval(point, point - half, point + half), (-np.inf, 0.05), 100)
        assert open_one.answer == "undecided"
        assert open_one.questions_needed is not None
        times = np.sqrt(open_one.questions_needed / 100)
        settled = Interval(point, point - half / times * 0.999, point + half / times * 0.999)
        assert part("x", settled, (-np.inf, 0.05), open_one.questions_needed).answer == expected
        fewer = Interval(point, point - half / times * 1.02, point + half / times * 1.02)
        assert part("x", fewer, (-np.inf, 0.05), 90).answer == "undecided"


def test_group_losses_are_no_narrower_than_independent_ones() -> None:
    before, after = np.ones(60), np.ones(60)
    after[:3] = 0.0
    alone = Sampled.of([str(i) for i in range(60)]).loss(before, after)
    paired = Sampled.of([str(i // 2) for i in range(60)]).loss(before, after)
    assert alone.point == paired.point == pytest.approx(0.05)
    assert alone.high == pytest.approx(tango_upper(3, 0, 60, 1 - TAIL))
    assert alone.low == pytest.approx(-tango_upper(0, 3, 60, 1 - TAIL))
    assert paired.low <= alone.low < alone.high <= paired.high
    same = Sampled.of([str(i // 6) for i in range(60)]).loss(before, before)
    assert same.high > 0.05  # where nothing changed, the bootstrap alone would be certain


def test_all_parts_must_hold_and_one_is_enough_to_fail() -> None:
    good, bad, open_one = (
        part(n, Interval(p, p - 1, p + 1), (0.0, np.inf), 9) for n, p in (("a", 2.0), ("b", -2.0), ("c", 0.5))
    )
    claim = Claim("C0", "statement", "rule")
    assert judge(claim, [good, good], "").verdict == "supported"
    assert judge(claim, [good, open_one], "").verdict == "undecided"
    failed = judge(claim, [open_one, good, bad], "")
    assert (failed.verdict, failed.deciding) == ("contradicted", bad)
    also = judge(claim, [open_one], "", "the control shows it too")
    assert (also.verdict, "both sides" in also.reason, "questions" in also.reason) == ("undecided", True, False)
    assert "the control shows it too" in also.reason
    faulty = judge(claim, [good], "", "the control shows it too")
    assert (faulty.verdict, faulty.reason) == ("undecided", "the control shows it too")
    assert judge(claim, [bad], "", "the control shows it too").verdict == "contradicted"


def test_there_and_back() -> None:
    found = worlds.c4(np.random.default_rng(0), FEW, 1.5)
    content = found.as_dict()
    assert {"id", "statement", "measured", "low", "high", "control", "rule", "verdict"} <= set(content)
    assert stored_files.shaped(content, Verdict) == found


def test_a_missing_transition_and_phases_that_are_too_short() -> None:
    assert "undecided on this task" in (requirements.no_transition(Transition(None, np.inf, np.inf, 1.0)) or "")
    assert "4% of resamples" in (requirements.no_transition(Transition(9, 9.0, np.inf, 0.04)) or "")
    assert requirements.no_transition(Transition(5, 4.0, 6.0, 0.0)) is None
    assert "The Decisive Phase has 1 block of 10" in (requirements.short_phase(9, 10) or "")
    assert "The Silent Phase has 2 blocks of 10" in (requirements.short_phase(2, 10) or "")
    assert requirements.short_phase(5, 10) is None


def test_censored_and_undefined_collapse_and_few_questions() -> None:
    censored = Collapse(True, None, 9.0, np.inf, 0.9)
    told = requirements.no_collapse(censored, 4, 10, limited=True) or ""
    assert "(censored): walk it further" in told
    whole = requirements.no_collapse(censored, 9, 10, limited=False) or ""
    assert ("(censored)" in whole, "further with" in whole) == (True, False)
    undefined = Collapse(False, None, np.inf, np.inf, 1.0)
    assert "above chance" in (requirements.no_collapse(undefined, 4, 10, limited=False) or "")
    assert requirements.no_collapse(Collapse(True, 3, 3.0, 4.0, 0.0), 4, 10, limited=False) is None
    assert "12 questions in 12" in (requirements.few(12, 12) or "")
    assert requirements.few(50, 100) is None


def test_share_of_rises_against_the_plain_share() -> None:
    share = worlds.share_of(np.random.default_rng(5), SAMPLED, [0.0, 0.1, 0.5, 0.2, 0.1, -0.1], 0.001)
    assert around(np.array([0.0, 0.1, 0.5, 0.2, 0.1, -0.1])) == [2, 3]
    found = share.interval()
    assert found.point == pytest.approx(0.7 / 0.9, abs=0.002)
    assert found.low == pytest.approx(found.point, abs=0.003)
    assert found.high == pytest.approx(found.point, abs=0.003)
    assert np.isnan(Share(np.zeros((5, N)), share.chosen, SAMPLED).interval().point)


def test_worst_set_of_other_blocks_against_all_sets() -> None:
    """As low as any of 256, over 20 worlds."""
    rng, sampled = np.random.default_rng(8), Sampled.of([str(i) for i in range(60)], resamples=2)
    every = np.array([[0.0, 0.0, *map(float, bits)] for bits in itertools.product((0, 1), repeat=8)])
    for _ in range(20):
        share = worlds.share_of(rng, sampled, [0.4, 0.3, *rng.normal(0.03, 0.05, 8)], 0.3)
        worst = Worst.of(share.rises, [0, 1], sampled, share.rises.mean(1)[None])
        values = 0.5 * share.rises[:2].sum(0) - 0.5 * every @ share.rises
        bounds = values.mean(1) + expanded(60, TAIL) * values.std(1) / np.sqrt(60)
        found = [int(np.flatnonzero((every == row).all(1))[0]) for row in worst.sets(0.5)]
        assert min(bounds[found]) == pytest.approx(bounds.min(), abs=1e-9)


def test_unshown_rises_say_how_many_questions_it_takes() -> None:
    rng = np.random.default_rng(12)

    def judged(n: int) -> Verdict:
        sampled = Sampled.of([str(i) for i in range(n)], resamples=4000)
        return transition.judged(worlds.share_of(rng, sampled, [0.08, 0.04], 0.3), (20, 0.0), None)

    few = judged(60)
    assert few.verdict == "undecided"
    assert few.control
    assert few.deciding is not None
    assert few.deciding.low is None
    found = re.search(r"not shown to rise .* \(([\d,]+) in place of 60\) would show it", few.reason)
    assert found is not None
    many = int(found[1].replace(",", ""))
    assert 60 < many < 2000
    assert "not shown to rise" not in judged(4 * many).reason
    flat = transition.judged(Share(np.zeros((3, N)), np.arange(N) % 2 == 0, SAMPLED), (20, 0.0), None)
    assert "no number of questions" in flat.reason


def test_halves_that_name_other_blocks_support_nothing() -> None:
    share = worlds.share_of(np.random.default_rng(5), SAMPLED, [0.0, 0.5, 0.3, 0.0, 0.0], 0.001)
    assert transition.judged(share, (20, 0.0), None).verdict == "supported"
    turned = share.rises[[0, 3, 2, 1, 4]]
    other = replace(share, rises=np.where(share.chosen, share.rises, turned))
    found = transition.judged(other, (20, 0.0), None)
    assert (found.verdict, "1 and 2 by one, 2 and 3 by the other" in found.reason) == ("undecided", True)
    gradual = worlds.share_of(np.random.default_rng(5), SAMPLED, [0.1] * 8, 0.05)
    assert not gradual.agree
    assert transition.judged(gradual, (20, 0.0), None).verdict == "contradicted"  # whichever they name


def test_a_transition_with_nothing_to_decide_is_a_fault() -> None:
    share = worlds.share_of(np.random.default_rng(7), SAMPLED, [0.0, 0.0, 0.9, 0.0], 0.2)
    assert transition.judged(share, (20, 0.05), None).verdict == "supported"
    assert transition.judged(share, (20, 0.15), None).verdict == "supported"  # 3 of 20: chance
    often = transition.judged(share, (20, 0.2), None)
    assert (often.verdict, "The control" in often.reason) == ("undecided", True)
    random = transition.judged(share, (20, 0.0), 3)
    assert random.verdict == "undecided"
    assert "a transition at depth 3" in random.control


def test_loss_of_transition_along_a_path() -> None:
    decided = np.array([[True, True], [False, True], [True, False], [False, True], [False, True]])
    np.testing.assert_array_equal(cliff.lost_from(decided), [3, np.inf])
    ones, zeros = np.ones((2, 40)), np.zeros((2, 40))
    margins = [ones, ones, ones, -ones]
    path = PathMargins(margins, [ones, ones, zeros, zeros])
    sampled = Sampled.of([str(i) for i in range(40)], resamples=50)
    # with an accuracy of 0 there is no transition either, so that both are lost at step 2
    assert cliff.distance(path, 0.25, sampled) == Interval(0.0, 0.0, 0.0, False)
    never = cliff.distance(PathMargins([ones, ones], [ones, ones]), 0.25, sampled)
    assert np.isnan(never.point)
    assert (never.low, never.high) == (-np.inf, np.inf)
    assert (
        cliff.judged(
            PathMargins([ones, ones], [ones, ones]), 0.25, sampled, {"tail": np.nan, "random": np.inf}, ""
        ).verdict
        == "undecided"
    )


def deciding_path(accuracies: list[float], n: int = 120) -> PathMargins:
    """Of models of two depths that decide at the last one."""
    rng = np.random.default_rng(5)
    correct = [np.stack([np.zeros(n), rng.permutation(np.arange(n) < a * n)]).astype(float) for a in accuracies]
    return PathMargins([np.stack([-np.ones(n), rng.normal(0.3, 0.1, n)]) for _ in accuracies], correct)


def test_a_step_beyond_the_path_does_not_contradict() -> None:
    """The last step collapses and decides: the transition may be lost one step later."""
    path, sampled = deciding_path([0.95, 0.9, 0.85, 0.45]), Sampled.of([str(i) for i in range(120)], resamples=400)
    found = cliff.judged(path, 0.25, sampled, {}, "")
    assert (found.verdict, found.reason) == ("undecided", cliff.ENDS)
    longer = deciding_path([0.95, 0.9, 0.85, 0.3, 0.3, 0.3])
    assert cliff.judged(longer, 0.0, sampled, {}, "").verdict == "contradicted"  # three steps later at the earliest


def test_distances_of_what_a_path_does_not_hold() -> None:
    """Against what any longer path could show."""
    steps = 5
    ends = [*map(float, range(1, steps)), np.inf]
    for lost, fallen in itertools.product(ends, ends):
        found = cliff._apart(np.array([lost]), np.array([fallen]), steps)[0]
        own = [range(steps, 2 * steps) if np.isinf(end) else [int(end)] for end in (lost, fallen)]
        within = {cliff.WITHIN[0] < a - b < cliff.WITHIN[1] for a, b in itertools.product(*own)}
        if within == {True, False}:
            assert np.isnan(found) or np.isfinite(lost + fallen)
        else:
            assert (cliff.WITHIN[0] < found < cliff.WITHIN[1]) == within.pop()


def test_permuted_phases_with_an_obvious_answer() -> None:
    silent_right, decisive_right = np.zeros((8, 30)), np.ones((8, 30))
    assert silent.permuted(silent_right, decisive_right, 0) < 1e-3  # 1 of 12,870 orders
    assert silent.permuted(decisive_right, decisive_right, 0) == 1.0
    assert silent.permuted(silent_right[:3], decisive_right[:3], 0) == 1 / 20  # every order, once


def test_too_few_subsets_for_a_rare_order_are_no_fault() -> None:
    """Six blocks, three in each phase: there are three pairs of each, and no more to draw."""
    silent_right, decisive_right = np.zeros((3, N)), np.ones((3, N))
    few = silent.judged(silent_right, decisive_right, (True, True), 2, SAMPLED, 0)
    assert (few.verdict, "So few subsets" in few.control) == ("supported", True)
    alike_ones = silent.judged(decisive_right, decisive_right, (True, True), 2, SAMPLED, 0)
    assert alike_ones.verdict == "contradicted"


def test_subsets_that_are_all_there_are_add_no_uncertainty() -> None:
    rng = np.random.default_rng(9)
    silent_right = (rng.random((6, N)) < rng.random((6, 1))).astype(float)
    decisive_right = np.ones((3, N))
    drawn = silent.difference(silent_right, decisive_right, (False, False), SAMPLED, 0)
    whole = silent.difference(silent_right, decisive_right, (True, True), SAMPLED, 0)
    assert drawn.point == whole.point == pytest.approx(1 - silent_right.mean())
    assert drawn.high - drawn.low > 2 * (whole.high - whole.low)
    of_mean = SAMPLED.mean(1 - silent_right.mean(0))
    assert (whole.low, whole.high) == pytest.approx((of_mean.low, of_mean.high))


def test_similarity_that_was_not_there_before_cannot_be_kept() -> None:
    thirds = {
        name: alike.Third(0.01, 0.0, np.linspace(-0.1, 0.1, 9), np.zeros(9), 0.0)
        for name in ("tokens", "options", "random")
    }
    found = alike.judged(thirds, (100, 100), (100, 100))  # type: ignore[arg-type]
    assert found.verdict == "undecided"
    assert "no number of questions" in found.reason
    assert "do not vary" in alike.judged({}, (100, 100), (100, 100)).reason


@pytest.mark.parametrize(
    ("kept", "own"),
    [
        ((0,), True),
        ((23,), False),
        ((0, 23), False),
        ((0, 1, 2, 3, 4, 6), True),
        ((0, 1, 2, 3, 5), False),
        ((0, 1, 2, 4, 5), False),
        ((1, 2, 3), False),
    ],
)
def test_similarity_before_the_first_gone_block_is_dense(kept: tuple[int, ...], own: bool) -> None:
    assert alike.untouched(kept) is own


def test_training_that_breaks_the_dense_model_shows_nothing() -> None:
    rng = np.random.default_rng(10)
    broken = rng.normal(-0.3, 0.2, (2, N))
    found = recovery.judged({5: broken[0]}, {}, broken[1], "lora", SAMPLED)
    assert (found.verdict, "dense model" in found.reason) == ("undecided", True)
    nothing = recovery.judged({}, {}, broken[1], "lora", SAMPLED)
    assert nothing == undecided(recovery.CLAIM, recovery.NOT_RUN)
    assert "--recover" in nothing.reason


def test_steps_beyond_the_collapse_share_their_claims_error() -> None:
    rng = np.random.default_rng(11)
    after = {step: rng.normal(-0.3, 0.2, N) for step in (5, 6, 7)}
    found = recovery.judged(after, {"step 4 (at the collapse)": after[5] + 1}, np.ones(N), "full, 9 updates", SAMPLED)
    assert found.verdict == "supported"
    assert [one.what.split()[4] for one in found.parts] == ["5", "6", "7"]
    own = Sampled(SAMPLED.resamples, TAIL / 3)
    assert [one.high for one in found.parts] == [own.mean(margin).high for margin in after.values()]
    assert "full, 9 updates" in found.control
    assert f"step 4 (at the collapse): {after[5].mean() + 1:+.3f}" in found.control
    after[6] += 0.6
    back = recovery.judged(after, {}, np.ones(N), "lora", SAMPLED)
    assert (back.verdict, back.deciding) == ("contradicted", back.parts[1])


def test_one_size_of_noise_suffices_where_none_contradicts() -> None:
    rng = np.random.default_rng(13)
    losses = {size: rng.normal(0, 0.2, (9, N)) for size in (0.02, 0.1414, 0.3)}
    nothing = fragile.judged(losses, 4, SAMPLED)
    assert (nothing.verdict, "Every interval lies on both sides" in nothing.reason) == ("undecided", True)
    losses[0.1414][:4] += 0.2
    one = fragile.judged(losses, 4, SAMPLED)
    assert (one.verdict, one.reason) == ("supported", "")
    assert one.deciding is not None and "size 0.1414 (variance 0.02) before" in one.deciding.what
    losses[0.3][:4] -= 0.2
    both = fragile.judged(losses, 4, SAMPLED)
    assert (both.verdict, "contradict one another" in both.reason) == ("undecided", True)
    losses[0.1414][:4] -= 0.2
    assert fragile.judged(losses, 4, SAMPLED).verdict == "contradicted"
