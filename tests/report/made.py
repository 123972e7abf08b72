"""Made-up results of every verb, without a model: what its figures are drawn from."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from layercliff.analyses.ablate.result import AblateSettings
from layercliff.analyses.controls import result as controlled
from layercliff.analyses.controls.result import Controlled, ControlSettings
from layercliff.analyses.forecast.result import Forecast, Measured
from layercliff.analyses.intervention_result import InterventionResult, Own
from layercliff.analyses.lens.result import LensSettings, TunedOn
from layercliff.analyses.noise.result import NoiseSettings
from layercliff.analyses.patch.result import PatchSettings
from layercliff.analyses.recover.result import Recovered
from layercliff.analyses.recover.shapes import RecoverSettings
from layercliff.analyses.similarity.result import ABOUT, Similar, SimilarSettings
from layercliff.analyses.trace.result import Traced
from layercliff.analyses.trace.shapes import TraceSettings
from layercliff.metrics import controls as nulls
from layercliff.metrics.analysis import analyse
from layercliff.metrics.forecast import FEATURES, Prediction
from layercliff.pruning.repeats import PathRepeat
from layercliff.pruning.result import Pruned
from layercliff.pruning.step import Step
from layercliff.readout.trace import Trace, TracedTask
from layercliff.run.subject import Subject, TaskSubject
from layercliff.studies import result as studied
from layercliff.studies.grid import Grid
from layercliff.studies.result import Row, Studied
from layercliff.tasks.question import Question

L, N = 6, 24
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
KEPT = (tuple(range(L)), (0, 1, 2, 3, 5), (0, 1, 2, 5), (0, 5), (5,))
QUESTIONS = tuple(
    Question(f"q{i}", f"which is {i}?", tuple(f"word {(i + j) % 5}" for j in range(4)), i % 4, f"g{i}")
    for i in range(N)
)


def scores(depths: int, decided: int, seed: int = 0) -> np.ndarray:
    """Random option scores, ``[depth, question, option]``, that are right from depth `decided` on."""
    found = np.random.default_rng(seed).normal(size=(depths, N, 4)).astype(np.float32)
    found[decided:, np.arange(N), [q.gold for q in QUESTIONS]] += 3
    return found


def trace(depths: int = L + 1, decided: int = 3, seed: int = 0) -> Trace:
    gold, mask = np.array([q.gold for q in QUESTIONS]), np.ones((N, 4), bool)
    mass = np.full((depths, N), 0.5, np.float32)
    about = {"t": TracedTask("t", "first_token", "s", "test", "l")}
    return Trace(scores(depths, decided, seed), mask, gold, mass, QUESTIONS, ("t",) * N, ("report",) * N, about)


def traced() -> Traced:
    return Traced(SUBJECT, trace(), analyse(trace(), 100), TraceSettings(option_mass="last"), {})


def pruned(criterion: str = "margin") -> Pruned:
    """A path with a cliff, walked twice, with a task that was watched."""
    steps = tuple(
        Step(kept, tuple(set(before) - set(kept)), {b: b / 7 for b in before})
        for before, kept in zip((KEPT[0], *KEPT), KEPT, strict=False)
    )
    traces = tuple(trace(len(kept) + 1, 3 if len(kept) > 2 else 99, k) for k, kept in enumerate(KEPT))
    others = (PathRepeat(KEPT, (0.9, 0.9, 0.8, 0.3, 0.3), 0.25),)
    return Pruned(SUBJECT, criterion, (), N, steps, traces, {}, traces, others)  # type: ignore[arg-type]


def probed(runs: int, settings: Own) -> InterventionResult[Own]:
    return InterventionResult(SUBJECT, trace(), scores(runs, 0), settings, 3, {})


def noised() -> InterventionResult[NoiseSettings]:
    return probed(2 * 2 * (L + 1), NoiseSettings(eps=[0.1, 0.5], draws=2, positions="all"))


def ablated() -> InterventionResult[AblateSettings]:
    return probed(2 * (L + L - 1), AblateSettings(n_select=N))


def patched() -> InterventionResult[PatchSettings]:
    settings = PatchSettings(steps={"2": list(KEPT[2])}, positions="all", criterion="margin")
    return probed(3 * len(KEPT[2]) + 3, settings)


def lensed() -> InterventionResult[LensSettings]:
    trained = {"logit": [3 - d / 3 for d in range(L + 1)], "tuned": [2 - d / 3 for d in range(L)] + [0.0]}
    about = {
        "positions": 100,
        "text": "prose",
        "steps": 2,
        "seed": 0,
        "held_out": 16,
        "model": "made",
        "dtype": "float32",
    }
    settings = LensSettings(lenses=["tuned", "probe"], provenance=TunedOn.model_validate(trained | about))
    return probed(3 * (L + 1), settings)


def beside() -> Controlled:
    made = {
        "model": nulls.outcome([trace()]),
        "shuffled-gold": nulls.outcome([trace(seed=s, decided=9) for s in (1, 2)]),
    }
    where = [("depth", d, 0) for d in range(L + 1)] + [("step", k, k) for k in range(3)]
    text = pl.DataFrame(
        [(*place, 2.0, 1.9, 2.1, 0.1, 0.0, 0.2, 9, 90) for place in where],
        orient="row",
        schema=[
            "where",
            "index",
            "removed",
            "loss",
            "loss_low",
            "loss_high",
            "rise",
            "rise_low",
            "rise_high",
            "paragraphs",
            "tokens",
        ],
    )
    curves = pl.concat([controlled.curve_rows(name, "t", found) for name, found in made.items()])
    table = pl.concat([controlled.table_row(name, "t", found) for name, found in made.items()])
    return Controlled(SUBJECT, curves, table, text, {"plain-text": ControlSettings(path="margin")}, {})


def similar() -> Similar:
    steps = {"0": KEPT[0], "2": KEPT[2]}
    about = [(what, scaled, int(s), kept) for what in ABOUT for scaled in (False, True) for s, kept in steps.items()]
    table = pl.DataFrame(
        [
            ("t", what, scaled, step, dense, own, N, 4, None if dense == 0 else 0.5, 0.4, 0.6, 0.0, 0.1)
            for what, scaled, step, kept in about
            for dense in range(L + 1)
            for own in range(len(kept) + 1)
        ],
        schema=[
            "task",
            "what",
            "standardised",
            "step",
            "dense",
            "pruned",
            "n",
            "d",
            "cka",
            "low",
            "high",
            "shuffled",
            "shuffled_size",
        ],
        orient="row",
    )
    summary = pl.DataFrame(
        [("t", what, scaled, step, 0.0) for what, scaled, step, _ in about],
        schema=["task", "what", "standardised", "step", "third_shuffled"],
        orient="row",
    )
    settings = SimilarSettings(steps={step: list(kept) for step, kept in steps.items()}, criterion="margin", tokens=4)
    return Similar(SUBJECT, table, summary, settings, {})


def recovered() -> Recovered:
    steps = {"0": KEPT[0], "2": KEPT[2]}
    traces = {int(step): trace(len(kept) + 1) for step, kept in steps.items()}
    about = {
        "steps": {step: list(kept) for step, kept in steps.items()},
        "merged": {"0": [], "2": []},
        "cliff": 3,
        "seeds": 2,
        "criterion": "margin",
        "method": "lora",
        "rank": 4,
        "updates": 2,
        "batch": 2,
        "rate": 0.1,
        "distill": 0,
    }
    material = {"t": {"n": 9, "from": "unasked", "digest": "d"}}
    return Recovered(
        SUBJECT, traces, {step: (of, of) for step, of in traces.items()}, RecoverSettings(**about), material, {}, {}
    )


def forecast() -> Forecast:
    values = np.linspace(0.1, 0.5, L)
    measured = Measured(
        dict.fromkeys(FEATURES, 0.5), values, 0.8 - values, values - 0.1, values + 0.1, values, 0.8, N, {}
    )
    return Forecast(SUBJECT, measured, Prediction(0.5, 0.3, 0.7, 1.0, 2.0, ()), "a study", 9, ("a", "b"))


def row(model: str, task: str, transition: int | None, collapse: int | None, **more: Any) -> Row:
    features = dict.fromkeys(FEATURES, 0.5) | {"transition": (41 if transition is None else transition) / 40}
    given = {
        "defined": True,
        "removed_at_most": 39,
        "collapse_beyond": 39 if collapse is None else None,
        "features": features,
        "format": "letter",
        "n_layers": 40,
        "n_questions": 100,
        "n_report": 50,
        "accuracy": 0.6,
        "chance": 0.25,
    }
    ends = {
        f"{name}_{end}": value
        for name, value in (("transition", transition), ("collapse", collapse))
        for end in ("low", "high")
    }
    return Row(
        model,
        task,
        "own",
        "margin",
        0,
        f"cells/{model}/{task}",
        transition=transition,
        collapse=collapse,
        **given | ends | more,
    )


def rows() -> Sequence[Row]:
    """Models by tasks, the later their transition, the earlier their collapse; and one cell of every other kind."""
    rng = np.random.default_rng(0)
    depths = {(m, t): int(rng.integers(8, 36)) for m in range(6) for t in range(2)}
    common = [row(f"m{m}", f"t{t}", depth, 38 - depth + int(rng.integers(4))) for (m, t), depth in depths.items()]
    odd = [row("m6", "undecided", None, 5), row("m6", "censored", 10, None), row("m6", "both", None, None)]
    return [*common, *odd, Row("m6", "failed", "own", "margin", 0, "cells/m6/failed", reason="There is no task 'x'.")]


def study() -> Studied:
    return studied.gathered(Grid.of({"models": ["m"], "tasks": ["t"]}), rows())
