"""How often the bounds that verdicts rest on fail where few questions make most of a mean, in made-up worlds; minutes.

    python docs/results/rare_failures.py

In every world the mean is 0. A number is the share of worlds whose interval lies wholly above 0, or wholly below it,
whichever is more often; in brackets that of percentiles without the correction for bias and skewness. Either bound may
fail in 0.5 %.
"""

import argparse
from collections.abc import Callable

import numpy as np

from layercliff.paper_claims.intervals import FEWEST, Sampled

Draw = Callable[[np.random.Generator, int], np.ndarray]


def few(share: float, spread: float) -> Draw:
    """A `share` of the questions is at 1, the others at 0, all spread normally; less the mean."""
    return lambda rng, n: (rng.random(n) < share) - share + rng.normal(0, spread, n)


def uneven(share: float, spread: float) -> Draw:
    """The same with exponential sizes in the place of 1."""
    return lambda rng, n: (rng.random(n) < share) * rng.exponential(1, n) - share + rng.normal(0, spread, n)


WORLDS: dict[str, Draw] = {
    "one in five by 1, others by 0.02": few(0.2, 0.02),
    "one in ten by 1, others by 0.2": few(0.1, 0.2),
    "one in ten by 1, others by 0.02": few(0.1, 0.02),
    "all, exponentially": uneven(1, 0),
    "one in ten exponentially, others by 0.2": uneven(0.1, 0.2),
    "one in ten exponentially, others by 0.02": uneven(0.1, 0.02),
    "one in twenty by 1, others by 0.02": few(0.05, 0.02),
}
QUESTIONS = (FEWEST, 75, 150)


def failures(draw: Draw, sampled: Sampled, n_worlds: int, corrected: bool) -> float:
    """The share of worlds whose interval lies above 0 or of those whose lies below it, the larger one."""
    rng = np.random.default_rng(0)
    above = below = 0
    for _ in range(n_worlds):
        values = draw(rng, sampled.n)
        means = sampled.resamples.means(values[None])[:, 0]
        found = sampled.interval(float(values.mean()), means, corrected=corrected)
        above += found.low > 0
        below += found.high < 0
    return max(above, below) / n_worlds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=10_000)
    given = parser.parse_args()
    print(f"| questions that differ from 0 | {' | '.join(map(str, QUESTIONS))} |")
    print("|---" * (1 + len(QUESTIONS)) + "|")
    drawn = [Sampled.of([str(i) for i in range(n)], resamples=2000) for n in QUESTIONS]
    for name, draw in WORLDS.items():
        cells = []
        for sampled in drawn:
            found, plain = (100 * failures(draw, sampled, given.worlds, corrected) for corrected in (True, False))
            cells.append(f"{found:.1f} ({plain:.1f})")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
