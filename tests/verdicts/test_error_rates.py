"""In worlds exactly on the edge, verdicts are wrong no more often than they may be: measured over many made-up worlds."""

from collections.abc import Callable

import numpy as np
import pytest
import worlds

from layercliff.results.claimed import Verdict
from layercliff.verdicts.sampled import Sampled

WORLDS = 400
TAIL = 0.05  # what each bound may fail with here, so that failures are common enough to count
SAMPLED = Sampled.of([f"g{i // 2}" for i in range(120)], tail=TAIL, resamples=400)
ALONE = Sampled.of([f"g{i}" for i in range(120)], tail=TAIL, resamples=400)


def most(tail: float) -> float:
    """A rate three standard errors of the simulation above the nominal one."""
    return tail + 3 * float(np.sqrt(tail * (1 - tail) / WORLDS))


TWO_PARTS = ("C2", "C5")  # which share a claim's error
EDGES: dict[str, Callable[[np.random.Generator], Verdict]] = {
    "C1": lambda rng: worlds.c1(rng, ALONE, 0.5),
    "C2, independent questions": lambda rng: worlds.c2(rng, ALONE, 0.05),
    "C2, groups of two": lambda rng: worlds.c2(rng, SAMPLED, 0.05),
    "C3": lambda rng: worlds.c3(rng, ALONE, 0.10),
    "C5, hidden states on the edge": lambda rng: worlds.c5(rng, TAIL, 0.8, 0.0),
    "C5, decisions on the edge": lambda rng: worlds.c5(rng, TAIL, 1.0, 0.5),
    "C6": lambda rng: worlds.c6(rng, SAMPLED, 0.0),
    "C7": lambda rng: worlds.c7(rng, SAMPLED, 0.0),
    "C9": lambda rng: worlds.c9(rng, ALONE, 0.0),
    "C10": lambda rng: worlds.c10(rng, ALONE, 0.05),
}


def rates(world: Callable[[np.random.Generator], Verdict]) -> dict[str, float]:
    rng = np.random.default_rng(31)
    found = [world(rng).verdict for _ in range(WORLDS)]
    return {verdict: found.count(verdict) / WORLDS for verdict in ("supported", "contradicted", "undecided")}  # type: ignore[arg-type]


@pytest.mark.parametrize("name", EDGES)
def test_on_the_edge_either_verdict_is_rare(name: str) -> None:
    found = rates(EDGES[name])
    allowed = most(TAIL / 2 if name.startswith(TWO_PARTS) else TAIL)
    assert found["supported"] <= allowed
    assert found["contradicted"] <= allowed
    assert found["undecided"] >= 0.8


@pytest.mark.parametrize(("later", "wrong"), [(2.0, "supported"), (0.75, "contradicted")])
def test_steps_of_a_path(later: float, wrong: str) -> None:
    """Steps are whole numbers: two steps apart the claim is false, within one it is true, however near the crossings are to a step."""
    found = rates(lambda rng: worlds.c4(rng, ALONE, later))
    assert found[wrong] <= most(TAIL)
