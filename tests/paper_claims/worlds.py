"""Made-up worlds in which a claim holds, fails, or stands exactly on the edge."""

from functools import partial

import numpy as np

from layercliff.interventions.subsets import drawn
from layercliff.metrics.phases import transition_depths
from layercliff.paper_claims import c01_transition as transition
from layercliff.paper_claims import c02_decisive_phase as decisive
from layercliff.paper_claims import c03_silent_phase as silent
from layercliff.paper_claims import c04_collapse as cliff
from layercliff.paper_claims import c05_similarity as alike
from layercliff.paper_claims import c06_noise as fragile
from layercliff.paper_claims import c07_finetuning as recovery
from layercliff.paper_claims import c09_blocks_that_stay as blocks
from layercliff.paper_claims import c10_silent_phase_kept as remedy
from layercliff.paper_claims import deciding
from layercliff.paper_claims.c04_collapse import PathMargins
from layercliff.paper_claims.c05_similarity import Third
from layercliff.paper_claims.intervals import Sampled
from layercliff.paper_claims.result import Verdict
from layercliff.paper_claims.rule import at_every_depth, undecided
from layercliff.paper_claims.share_of_rises import Share

Rng = np.random.Generator


def right(rng: Rng, base: np.ndarray, lost: float, won: float = 0.02) -> np.ndarray:
    """Right answers after a change that loses some of the right ones and wins some of the wrong ones."""
    return np.where(base == 1, rng.random(base.shape) >= lost, rng.random(base.shape) < won).astype(float)


def curve(rng: Rng, rises: list[float], n: int, noise: float = 0.2) -> np.ndarray:
    """Margins ``[depth, question]`` with these mean rises, every question's own walk around them."""
    mean = -0.4 + np.concatenate([[0.0], np.cumsum(rises)])
    return np.asarray(mean[:, None] + rng.normal(0, noise, (len(mean), n)) + rng.normal(0, noise, n))


def c1(rng: Rng, sampled: Sampled, share: float) -> Verdict:
    """Rises of `sharp`."""
    return transition.judged(share_of(rng, sampled, sharp(share)), (20, 0.0), None)


def sharp(share: float) -> list[float]:
    """Two neighbouring blocks make `share` of a rise of 1.2; the rest is spread over six others, and eight do not
    rise."""
    rest = [1.2 * (1 - share) / 6] * 6
    return [0.0] * 6 + rest[:2] + [1.2 * share * 0.6, 1.2 * share * 0.4] + rest[2:] + [0.0] * 2


def share_of(rng: Rng, sampled: Sampled, rises: list[float], noise: float = 0.2) -> Share:
    """Margins with these mean rises. Every second group of questions is of the half that chooses."""
    return Share(np.diff(curve(rng, rises, sampled.n, noise), axis=0), sampled.resamples.index % 2 == 0, sampled)


C1_EDGES: dict[str, tuple[list[float], float]] = {
    "six other rises": (sharp(0.5), 0.2),
    "many rises as small as their error": ([0.01] * 20 + [0.15, 0.11] + [0.01] * 6, 0.08),
    "two equal jumps": ([0.25, 0.25, 0.0, 0.25, 0.25], 0.2),
    "two jumps, flat elsewhere": ([0.0] * 18 + [0.3, 0.2, 0.25, 0.25] + [0.0] * 8, 0.2),
    "equal neighbours": ([-0.3, 0.1, 0.3, 0.1, -0.3, 0.15, 0.15, -0.2], 0.2),
    "four equal rises": ([-0.4, 0.25, 0.25, 0.25, 0.25, -0.4], 0.2),
}
"""Mean rises of which two blocks make one half, and the noise of each depth."""


def c2(rng: Rng, sampled: Sampled, lost: float) -> Verdict:
    """Nine of ten questions are right; without the best blocks `lost` points go, without the tail none."""
    dense = (rng.random(sampled.n) < 0.9).astype(float)
    best = right(rng, dense, (lost + 0.002) / 0.9)
    anywhere = np.stack([right(rng, dense, 0.3) for _ in range(5)])
    return decisive.judged((dense, best), (dense, dense), anywhere, 2, (sampled, sampled))


def c3(rng: Rng, sampled: Sampled, excess: float) -> Verdict:
    """Subsets differ, and so do questions; silent ones cost `excess` more in the mean."""
    easy = rng.normal(0, 0.1, sampled.n)
    draws = {"silent": (20, 0.7 - excess), "decisive": (10, 0.7)}
    found = {}
    for name, (n_draws, mean) in draws.items():
        chances = mean + rng.normal(0, 0.1, (n_draws, 1)) + easy
        found[name] = (rng.random((n_draws, sampled.n)) < chances).astype(float)
    return silent.judged(found["silent"], found["decisive"], (False, False), 3, sampled, int(rng.integers(1000)))


def c3_one_block(rng: Rng, sampled: Sampled) -> Verdict:
    """Nothing works without block 0 of 28, and no other matters: of 3 silent blocks (of 23) it is one three times in
    23, and costs all 0.8 of them then."""
    found = {}
    for kind in ("silent", "decisive"):
        sets = [run.removed for run in drawn(28, 23, int(rng.integers(2**31))) if run.kind == kind]
        found[kind] = np.stack([(rng.random(sampled.n) < (0.0 if 0 in gone else 0.8)).astype(float) for gone in sets])
    return silent.judged(found["silent"], found["decisive"], (False, True), 3, sampled, int(rng.integers(1000)))


def c4(rng: Rng, sampled: Sampled, later: float) -> Verdict:
    """Accuracy falls from 1 to 0.1 in nine steps, so that the collapse is at step 4 (chance 0.25, half of it 0.625);
    the margin crosses 0 `later` steps after."""
    steps = np.arange(10)
    accuracy = 1 - 0.1 * steps
    margins, correct = [], []
    for step in steps:
        middle = 0.1 * (3.75 + later - step)
        ends = np.array([-0.5, -0.5, middle, middle])
        margins.append(ends[:, None] + rng.normal(0, 0.15, sampled.n))
        correct.append((rng.random((4, sampled.n)) < accuracy[step]).astype(float))
    return cliff.judged(PathMargins(margins, correct), 0.25 if later < 3 else 0.05, sampled, {"tail": 0.0}, "")


def c5(rng: Rng, tail: float, hidden: float, decisions: float) -> Verdict:
    """Estimates with an error of 0.03, which subsamples show."""

    def third(before: float, at: float) -> Third:
        values = np.array([before, at]) + rng.normal(0, 0.03, 2)
        samples = values[:, None] + rng.normal(0, 0.03, (2, 200))
        return Third(values[0], values[1], samples[0], samples[1], 0.0)

    thirds = {"tokens": third(0.9, 0.9 * hidden), "options": third(0.8, 0.8 * decisions), "random": third(0.7, 0.6)}
    return alike.judged(thirds, (300, 300), (300, 300), tail)  # type: ignore[arg-type]


def c6(rng: Rng, sampled: Sampled, excess: float) -> Verdict:
    """Noise before depth 4 of 8 costs `excess` more; questions of a group have something in common."""
    common = rng.normal(0, 0.2, sampled.groups)[sampled.resamples.index]
    loss = 0.1 + rng.normal(0, 0.2, (9, sampled.n))
    loss[:4] += excess + common
    return fragile.judged({0.1: loss}, 4, sampled)


def c7(rng: Rng, sampled: Sampled, margin: float) -> Verdict:
    """One step beyond the collapse has this margin after training, the dense model 0.6."""
    trained = rng.normal(0, 0.3, (2, sampled.n)) + np.array([[margin], [0.6]])
    return recovery.judged({8: trained[0]}, {"step 6": trained[0] + 0.2}, trained[1], "lora", sampled)


def c7_few_flip(rng: Rng, sampled: Sampled) -> Verdict:
    """As on the edge as `c7`, but that one question in ten changes by much and the others hardly."""
    margin = np.where(rng.random(sampled.n) < 0.1, 0.9, -0.1) + rng.normal(0, 0.02, sampled.n)
    return recovery.judged({8: margin}, {}, np.full(sampled.n, 0.6), "lora", sampled)


def c9(rng: Rng, sampled: Sampled, excess: float) -> Verdict:
    """Blocks 2 and 3 before the transition at depth 4 cost `excess` more than others."""
    loss = rng.exponential(0.1, (8, sampled.n))
    loss[2:4] += excess
    return blocks.judged(loss, loss[:-1] + loss[1:], sampled, 4)


def c9_unsharp(rng: Rng, sampled: Sampled, slope: float, excess: float = 0.0) -> Verdict:
    """T is 6, where the margin of `slope` crosses 0. Blocks beside it cost most, those before it by `excess` more.

    One depth on, the excess is 0.25 larger, and one depth back as much smaller.
    """
    cost = np.zeros((12, 1))
    cost[4:8, 0] = 0.1 + excess, 0.3 + excess, 0.3, 0.1
    loss = cost + rng.normal(0, 0.3, (12, sampled.n))
    margin = (
        slope * (np.arange(13)[:, None] - 5.5) + rng.normal(0, 0.4, sampled.n) + rng.normal(0, 0.1, (13, sampled.n))
    )
    depth = float(transition_depths(margin.mean(1), np.ones(13), 0.5))
    if not 3 <= depth <= 9:
        return undecided(blocks.CLAIM, "phases")
    depths = deciding.depths(margin, np.ones_like(margin), 0.5, sampled)
    judged_at = partial(blocks.judged, loss, loss[:-1] + loss[1:], sampled)
    return at_every_depth(judged_at, int(depth), depths, 12)


def c10(rng: Rng, sampled: Sampled, lost: float) -> Verdict:
    """`lost` points go with the Decisive Phase."""
    dense = (rng.random(sampled.n) < 0.9).astype(float)
    return remedy.judged(dense, right(rng, dense, (lost + 0.002) / 0.9), 4, sampled, "")
