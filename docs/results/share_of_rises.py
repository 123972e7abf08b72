"""How often C1 is wrong where two blocks make exactly half of all rises, and how often it finds what holds; minutes.

    python docs/results/share_of_rises.py

A number is the share of made-up worlds, in per cent: those in which the share is found to be above one half, and those
in which it is found to be below. Every depth of every question has noise of 0.2, half of its
variance common to a group.
Either bound may fail in 0.5 %.
"""

import argparse

import numpy as np

from layercliff.paper_claims.intervals import FEWEST, Sampled
from layercliff.paper_claims.share_of_rises import Share

NOISE = 0.2


def sharp(share: float) -> list[float]:
    """Two blocks make `share` of a rise of 1.2; six others the rest, and eight do not rise."""
    rest = [1.2 * (1 - share) / 6] * 6
    return [0.0] * 6 + rest[:2] + [1.2 * share * 0.6, 1.2 * share * 0.4] + rest[2:] + [0.0] * 2


WORLDS: dict[str, list[float]] = {
    "half; six others rise": sharp(0.5),
    "half; 26 others rise little": [0.01] * 20 + [0.15, 0.11] + [0.01] * 6,
    "half; an equal jump elsewhere": [0.25, 0.25, 0.0, 0.25, 0.25],
    "half; a jump beside it, 26 blocks are flat": [0.0] * 18 + [0.3, 0.2, 0.25, 0.25] + [0.0] * 8,
    "half; equal neighbours, others fall": [-0.3, 0.1, 0.3, 0.1, -0.3, 0.15, 0.15, -0.2],
    "half; four equal rises": [-0.4, 0.25, 0.25, 0.25, 0.25, -0.4],
    "share .6": sharp(0.6),
    "share .4": sharp(0.4),
}
QUESTIONS = ((FEWEST, 1), (150, 1), (150, 3), (300, 1))
"""How many, and how many make a group."""


def rates(rises: list[float], sampled: Sampled, n_worlds: int) -> tuple[float, float]:
    """The shares of worlds in which the share is found above one half, and below."""
    rng = np.random.default_rng(0)
    depths = np.concatenate([[0.0], np.cumsum(rises)])[:, None]
    groups, chosen = sampled.resamples.index, sampled.resamples.index % 2 == 0
    above = below = 0
    for _ in range(n_worlds):
        noise = rng.normal(0, NOISE, (len(depths), sampled.groups))[:, groups]  # a group has half of it in common
        noise = (noise + rng.normal(0, NOISE, noise.shape)) / np.sqrt(2)
        share = Share(np.diff(depths + noise, axis=0), chosen, sampled)
        above, below = above + share.exceeds(0.5), below + share.stays_below(0.5)
    return above / n_worlds, below / n_worlds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=1000)
    given = parser.parse_args()
    names = [f"{n} in groups of {size}" if size > 1 else str(n) for n, size in QUESTIONS]
    print(f"| found above, below one half | {' | '.join(names)} |")
    print("|---" * (1 + len(QUESTIONS)) + "|")
    drawn = [Sampled.of([str(i // size) for i in range(n)], resamples=2000) for n, size in QUESTIONS]
    for name, rises in WORLDS.items():
        cells = [rates(rises, sampled, given.worlds) for sampled in drawn]
        shown = [f"{100 * above:.1f}, {100 * below:.1f}" for above, below in cells]
        print(f"| {name} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
