"""Stored results of a made-up model, without one: every claim holds of it, or a flaw makes one fail."""

import numpy as np
import polars as pl

from layercliff.analyses.ablate.result import AblateSettings
from layercliff.analyses.controls import result as controlled
from layercliff.analyses.controls.result import Controlled
from layercliff.analyses.intervention_result import InterventionResult, Own
from layercliff.analyses.noise.result import NoiseSettings
from layercliff.analyses.recover.result import Recovered
from layercliff.analyses.recover.shapes import RecoverSettings
from layercliff.analyses.similarity.result import Similar, SimilarSettings
from layercliff.analyses.trace.result import Traced
from layercliff.analyses.trace.shapes import TraceSettings
from layercliff.interventions.ablated_blocks import ablated_blocks
from layercliff.interventions.subsets import Subset, drawn, size
from layercliff.metrics import controls
from layercliff.metrics.analysis import analyse
from layercliff.paper_claims.c01_transition import CONTROLS
from layercliff.paper_claims.c05_similarity import SIMILAR
from layercliff.paper_claims.c06_noise import NOISE
from layercliff.paper_claims.c09_blocks_that_stay import ABLATED
from layercliff.paper_claims.evidence import Evidence
from layercliff.paper_claims.subsets.result import SubsetSettings
from layercliff.paper_claims.subsets.run import SUBSETS
from layercliff.paper_claims.training import TRAINED
from layercliff.pruning.result import Pruned
from layercliff.pruning.step import Step
from layercliff.readout.trace import Trace, TracedTask
from layercliff.run.subject import Subject, TaskSubject
from layercliff.tasks.question import Question

L, T, N, COLLAPSE = 8, 4, 300, 5
QUESTIONS = tuple(
    Question(f"q{i}", f"which is {i}?", tuple(f"word {i} {j}" for j in range(4)), i % 4, f"g{i}") for i in range(N)
)
REPORT = np.arange(N) % 2 == 1
HARDNESS = np.random.default_rng(0).random(N)
"""How hard each question is, evenly spread: a model that is right in a share of them is right in the easiest."""
SUBJECT = Subject(
    model="made",
    revision="r",
    tasks=(TaskSubject(name="t", format="first_token", source="s", split="test", digest="d"),),
    shots=0,
    limit=None,
    seed=0,
    dtype="float32",
    weights_dtype="float32",
    normalisation="char",
    chat=False,
)
SILENT, DECIDED = (0.25, 0.1), (0.95, 4.0)
Reading = tuple[float, float] | tuple[float, float, float]
"""The share of right answers, and how many nats an answer lies above the other options; where a third number stands,
that is of wrong ones."""


def scores(*readings: Reading) -> np.ndarray:
    """Option scores ``[reading, question, option]``."""
    out = np.zeros((len(readings), N, 4), np.float32)
    for row, (share, sure, *wrong) in zip(out, readings, strict=True):
        for i, question in enumerate(QUESTIONS):
            right = HARDNESS[i] < share
            row[i, question.gold if right else (question.gold + 1) % 4] = sure if right else (wrong or [sure])[0]
    return out


def trace(found: np.ndarray, keep: np.ndarray | None = None) -> Trace:
    """Scores at every depth, of the questions of `keep`."""
    keep = np.ones(N, bool) if keep is None else keep
    own = [i for i in range(N) if keep[i]]
    n, gold = len(own), np.array([QUESTIONS[i].gold for i in own])
    return Trace(
        found[:, keep],
        np.ones((n, 4), bool),
        gold,
        np.full((len(found), n), np.nan, np.float32),
        tuple(QUESTIONS[i] for i in own),
        ("t",) * n,
        tuple("report" if REPORT[i] else "select" for i in own),
        {"t": TracedTask("t", "first_token", "s", "test", "l")},
    )


def depths(flaw: str) -> list[Reading]:
    """What the dense model reads at depths 0..L."""
    if flaw == "gradual":
        return [(share, 4.0) for share in (0.25, 0.31, 0.37, 0.43, 0.57, 0.66, 0.75, 0.85, 0.95)]
    late: Reading = (0.84, 4.0) if flaw == "late" else DECIDED
    return [SILENT] * T + [late, late] + [DECIDED] * (L - T - 1)


def path(flaw: str) -> Pruned:
    """Blocks go from the first on; from the collapse on nothing is decided any more."""
    steps, traces = [], []
    for k in range(L):
        unsure: Reading = (0.8, 0.05, 4.0)  # right, and yet with a margin below 0
        last = SILENT if k >= COLLAPSE else unsure if flaw == "unsure" and k >= 2 else DECIDED
        steps.append(Step(tuple(range(k, L)), (k - 1,) if k else ()))
        traces.append(trace(scores(*[SILENT] * (L - k), last), REPORT))
    return Pruned(SUBJECT, "margin", (), N // 2, tuple(steps), tuple(traces), {})


def probed(found: list[Reading], dense: list[Reading], half: bool, settings: Own) -> InterventionResult[Own]:
    keep = REPORT if half else np.ones(N, bool)
    return InterventionResult(SUBJECT, trace(scores(*dense), keep), scores(*found)[:, keep], settings, T, {})


def noise(flaw: str, dense: list[Reading]) -> InterventionResult[NoiseSettings]:
    """Noise of either size breaks what comes before T, or with the flaw what comes after."""
    broken = [(d < T) != (flaw == "noise") for d in range(L + 1)]
    return probed(
        [SILENT if b else DECIDED for _ in (0.1, 0.5) for b in broken],
        dense,
        False,
        NoiseSettings(eps=[0.1, 0.5], draws=1, positions="all"),
    )


def ablated(flaw: str, dense: list[Reading]) -> InterventionResult[AblateSettings]:
    """The two blocks before T cannot go, or with the flaw the two after it."""
    dear = {T, T + 1} if flaw == "blocks" else {T - 2, T - 1}
    found: list[Reading] = [SILENT if dear & set(run.blocks) else DECIDED for run in ablated_blocks(L)]
    return probed(found, dense, False, AblateSettings(n_select=N // 2))


def subsets(flaw: str, dense: list[Reading]) -> InterventionResult[SubsetSettings]:
    """Silent blocks are dear and decisive ones are not."""
    m = size(L, T)
    sets = [Subset("best", (6, 7)), Subset("silent by margin", (0, 1)), *drawn(L, T, 0)]
    cost: dict[str, Reading] = {
        "silent": SILENT,
        "decisive": DECIDED,
        "best": DECIDED,
        "silent by margin": DECIDED,
        "anywhere": (0.6, 4.0),
    }
    cost |= {"best": {"best": (0.65, 4.0)}, "silent": {"silent": DECIDED}}.get(flaw, {})
    assert {len(one.removed) for one in sets} == {m}
    settings = SubsetSettings(m=m, subsets=[(one.kind, list(one.removed)) for one in sets])
    return probed([cost[one.kind] for one in sets], dense, True, settings)


def similar(flaw: str) -> Similar:
    """States are as similar at the collapse as before; decisions are not, or with the flaw are."""
    left = {"tokens": 0.98, "options": 0.95 if flaw == "alike" else 0.02, "random": 0.9}
    rng, rows = np.random.default_rng(1), []
    for what, share in left.items():
        for step, value in ((COLLAPSE - 1, 0.6), (COLLAPSE, 0.6 * share)):
            rows.append(("t", what, False, step, value, (value + 0.01 * rng.normal(size=200)).tolist(), 0.0))
    schema = ["task", "what", "standardised", "step", "third", "third_samples", "third_shuffled"]
    return Similar(
        SUBJECT, pl.DataFrame(), pl.DataFrame(rows, schema=schema, orient="row"), SimilarSettings.model_construct(), {}
    )


def trained(flaw: str) -> Recovered:
    """Training brings back no step beyond the collapse, or with the flaw it does; with another it leaves the dense
    model undecided too."""
    last = {
        0: SILENT if flaw == "broken" else DECIDED,
        COLLAPSE: SILENT,
        COLLAPSE + 2: DECIDED if flaw == "restored" else SILENT,
    }
    traces = {step: trace(scores(*[SILENT] * (L - step), reading), REPORT) for step, reading in last.items()}
    about = {"criterion": "margin", "steps": {}, "cliff": COLLAPSE}
    about |= {"seeds": 1, "method": "lora", "updates": 9, "batch": 4}
    return Recovered(
        SUBJECT,
        traces,
        {step: (one,) for step, one in traces.items()},
        RecoverSettings.model_construct(**about),
        {},
        {},
        {},
    )


def beside(flaw: str, dense: list[Reading]) -> Controlled:
    """Shuffled answers and random weights, which decide nothing, or with the flaw the latter do."""
    nothing = trace(scores(*[SILENT] * (L + 1)))
    made = {"shuffled-gold": [nothing] * 20, "random-weights": [trace(scores(*dense)) if flaw == "random" else nothing]}
    table = pl.concat([controlled.table_row(name, "t", controls.outcome(of, 200)) for name, of in made.items()])
    return Controlled(SUBJECT, pl.DataFrame(), table, pl.DataFrame(), {}, {})


def evidence(flaw: str = "") -> Evidence:
    """Everything that a run would hold."""
    dense = depths(flaw)
    whole = trace(scores(*dense))
    return Evidence(
        Traced(SUBJECT, whole, analyse(whole, 2000), TraceSettings(option_mass="last"), {}),
        path(flaw),
        {
            CONTROLS: beside(flaw, dense),
            NOISE: noise(flaw, dense),
            ABLATED: ablated(flaw, dense),
            SUBSETS: subsets(flaw, dense),
            SIMILAR: similar(flaw),
            TRAINED: trained(flaw),
        },
    )


FLAWS = {
    "gradual": {"C1", "C2", "C10"},  # what rises over all depths is lost without the last ones
    "best": {"C2"},
    "silent": {"C3"},
    "unsure": {"C4"},
    "alike": {"C5"},
    "noise": {"C6"},
    "restored": {"C7"},
    "blocks": {"C9"},
    "late": {"C10"},
}
"""Each flaw, with the claims that it makes fail."""
