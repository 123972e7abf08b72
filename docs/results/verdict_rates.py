"""How often C6 and C8 are judged wrongly at the edge of the claim, and how often rightly beyond it; minutes.

    python docs/results/verdict_rates.py

A row is a made-up world, a number the share of such worlds with that verdict. C6 may err in 5 %, not the 0.5 % of a
page, so that errors are common enough to count. C8 may err in 2.5 %, as in a study.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np

from layercliff.metrics.permuted_models import within_tasks
from layercliff.paper_claims import c06_noise
from layercliff.paper_claims.intervals import Sampled

Rng = np.random.Generator
World = Callable[[Rng], str]
TAIL, RESAMPLES = 0.05, 500


def sampled(n: int, together: int = 1) -> Sampled:
    """So many questions, some of which come together in a group."""
    return Sampled.of([str(i // together) for i in range(n)], tail=TAIL, resamples=RESAMPLES)


def noise(excess: tuple[float, ...], n: int, together: int = 1, rare: bool = False, ties: bool = False) -> World:
    """Noise before depth 4 of 8 costs `excess` more, by size: larger sizes vary more, and questions alike at all sizes.

    `rare`: one question in ten makes all of it. `ties`: the smaller half of the sizes does nothing at all.
    """
    own = sampled(n, together)

    def world(rng: Rng) -> str:
        groups = rng.exponential(0.3, n) * (rng.random(n) < 0.1) - 0.03 if rare else rng.normal(0, 0.2, own.groups)
        common = groups if rare else groups[own.resamples.index]
        losses = {}
        for number, more in enumerate(excess):
            scale = 0.0 if ties and number < len(excess) // 2 else 0.2 + 0.2 * number
            loss = scale * rng.normal(0, 0.2, (9, n))
            loss[:4] += scale * common + more
            losses[0.1 * (number + 1)] = loss
        return c06_noise.judged(losses, 4, own).verdict

    return world


def study(models: int, tasks: int, rho: float, between: float = 0.96, coarse: int = 0) -> World:
    """T/L and k*/L of a study's models, with `rho` within tasks; a share of each variance lies `between` tasks.

    A task's effects on both go together. `coarse`: values are rounded to so many depths, so that they tie.
    """

    def world(rng: Rng) -> str:
        own = rng.normal(size=(2, models, tasks))
        own[1] = rho * own[0] + np.sqrt(1 - rho**2) * own[1]
        common = rng.normal(size=(1, 1, tasks)) * np.array([1.0, -1.0])[:, None, None]
        x, y = np.sqrt(between) * common + np.sqrt(1 - between) * own
        if coarse:
            x, y = np.round(x * coarse), np.round(y * coarse)
        names = [f"m{i}" for i in range(models)], [f"t{j}" for j in range(tasks)]
        return {True: "supported", False: "contradicted", None: "undecided"}[within_tasks(x, y, *names).falls]

    return world


C8: Mapping[str, World] = {
    "nothing within tasks, 6 models, 4 tasks": study(6, 4, 0.0),
    "nothing within tasks, 6 models, 4 tasks, many ties": study(6, 4, 0.0, coarse=4),
    "nothing within tasks, tasks alike, 6 models, 4 tasks": study(6, 4, 0.0, between=0.0),
    "nothing within tasks, 9 models, 4 tasks": study(9, 4, 0.0),
    "correlation -0.9, 6 models, 4 tasks": study(6, 4, -0.9),
    "correlation -0.5, 6 models, 4 tasks": study(6, 4, -0.5),
    "correlation -0.9, 6 models, 1 task": study(6, 1, -0.9),
    "correlation -0.5, 9 models, 4 tasks": study(9, 4, -0.5),
}
NONE = (0.0,) * 6
C6: Mapping[str, World] = {
    "no size matters, 150 questions": noise(NONE, 150),
    "no size matters, 60 questions": noise(NONE, 60),
    "no size matters, 150 questions in groups of three": noise(NONE, 150, together=3),
    "no size matters, one question in ten makes the mean, 150": noise(NONE, 150, rare=True),
    "no size matters, the smaller half does nothing, 150": noise(NONE, 150, ties=True),
    "no size matters, three sizes, 150": noise((0.0,) * 3, 150),
    "+0.03 at one size of six, 150 questions": noise((0, 0, 0.03, 0, 0, 0), 150),
    "+0.03 at one size of six, 300 questions": noise((0, 0, 0.03, 0, 0, 0), 300),
    "-0.03 at one size of six, 150 questions": noise((0, 0, -0.03, 0, 0, 0), 150),
    "+0.03 at one and -0.03 at another, 150 questions": noise((0, 0, 0.03, -0.03, 0, 0), 150),
}


def rates(world: World, n_worlds: int, seed: int = 0) -> tuple[float, float]:
    """The shares of worlds in which the claim is supported and contradicted."""
    rng = np.random.default_rng(seed)
    found = Counter(world(rng) for _ in range(n_worlds))
    return found["supported"] / n_worlds, found["contradicted"] / n_worlds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=400)
    given = parser.parse_args()
    print("| claim | world | supported | contradicted |\n|---|---|---|---|")
    for claim, worlds in {"C6": C6, "C8": C8}.items():
        for name, world in worlds.items():
            supported, contradicted = rates(world, given.worlds)
            print(f"| {claim} | {name} | {100 * supported:.1f} | {100 * contradicted:.1f} |", flush=True)


if __name__ == "__main__":
    main()
