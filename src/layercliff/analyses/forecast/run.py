"""Forecast the collapse point of a model on a task from the dense model alone, before any path is walked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from layercliff.analyses.forecast import result as results
from layercliff.analyses.forecast.result import Forecast, Measured
from layercliff.analyses.forecast.spec import ForecastSpec
from layercliff.analyses.trace import result as traced
from layercliff.analyses.trace.result import Traced
from layercliff.analyses.trace.run import trace
from layercliff.analyses.trace.spec import TraceSpec
from layercliff.errors import RunError
from layercliff.interventions import gates
from layercliff.metrics import decision
from layercliff.metrics.forecast import FEATURES, features
from layercliff.metrics.intervals import mean_curve
from layercliff.metrics.statistics import Resamples
from layercliff.models.lazy import LazyModel
from layercliff.pruning import result as pruned
from layercliff.pruning.criteria.answers import decision_margin
from layercliff.pruning.criteria.block_influence import block_influence
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.iterative import IterativeSelector
from layercliff.pruning.objective import TaskObjective
from layercliff.pruning.step import Step
from layercliff.run.directory import JOURNAL, Journal, RunDirectory
from layercliff.run.session import Session, session
from layercliff.run.verb import verb


@verb(ForecastSpec)
def forecast(spec: ForecastSpec) -> Forecast:
    """Forecast the collapse from the dense model alone: k*/L with an interval, by a rule fitted to a study.

    The rule is given the model's trace, and what is measured on the ``select`` half. That is each block's Block
    Influence, the margin without it, and the derivative by its gate. The margins without a block are the
    first step of a path by ``margin``, which then begins with it. The rule is fitted to the table that ships with
    layercliff, or to that of the directory `study`. The other arguments are those of `layercliff.trace`; `out` is
    needed. Results lie in ``DIR/trace`` and ``DIR/forecast``.

    Returns:
        A `Forecast`.

    Raises:
        LayercliffError: For what cannot be used, in one sentence; before anything is computed where there is no rule.
    """
    table = results.training_table(None if spec.study is None else Path(spec.study))
    found, measured = measure(spec)
    x = np.array([measured.features[name] for name in FEATURES])
    made = Forecast(
        found.subject, measured, table.rule.predict(x), table.source, len(table.rows), table.models
    )  # fmt: skip
    run = RunDirectory(Path(str(spec.out)))
    with run.lock():
        results.write(run, made)
    return made


def measure(spec: ForecastSpec) -> tuple[Traced, Measured]:
    """Trace a model, and measure what a rule is given. Both are kept in the run directory `out`."""
    if spec.out is None:
        raise RunError("A forecast is kept in a run directory: give one with --out.")
    run = RunDirectory(Path(spec.out))
    model = LazyModel(spec.model, spec)
    done = spec.resume and all(file.exists() for file in (run.path / traced.SUMMARY, results.stored(run).summary))
    found = trace(spec.into(TraceSpec, model=model.given(done), resume=True))
    if len(found.trace.tasks) != 1:
        raise RunError("The collapse is forecast for one task at a time: name one.")
    folder, _ = results.place(run)
    with session(spec.given(model=model.given(done)), folder, {}, results.read_measured, lambda _: {}) as this:
        measured = this.kept
        if measured is None:
            measured = _measured(this, spec, found)
            results.write_measured(run, measured)
    return found, measured


def _measured(this: Session[Measured], spec: ForecastSpec, found: Traced) -> Measured:
    model, (part,), seed = this.model, [part.of("select") for part in this.asked], this.setting.subject.seed
    if not part.questions:
        raise RunError(
            f"Task {part.task.name} has too few questions to forecast anything from one half: ask at least 2 groups."
        )
    budget, subject = model.batch_tokens(spec.batch_tokens), this.setting.subject.model_dump()
    given = CriterionInput(
        model, (part,), (), (), model.n_layers - 1, seed, budget, spec.memory_bytes, None, None, subject, spec.report,
        spec.note,
    )  # fmt: skip
    without, values, removal_passes = _without_each_block(this, given)
    spec.report("block influence and gates", 0, 2)
    by_block, influence_passes = block_influence(given)
    spec.report("block influence and gates", 1, 2)
    scores = found.trace.scores[-1][np.array([half == "select" for half in found.trace.half_of]), : part.width]
    gate = gates.gradients(model, part, scores, budget, this.journal, subject).mean(1)
    spec.report("block influence and gates", 2, 2)
    influence = -np.array([by_block[block] for block in range(model.n_layers)])
    (margins,) = decision.margin(decision.probabilities(scores[None], part.mask), part.mask, part.gold)
    resamples = Resamples.draw([question.group for question in part.questions], seed=seed)
    lost = mean_curve(margins - values, resamples)
    main, margin = found.main, float(margins.mean())
    named = features(
        found.transition_depth, float(main.accuracy.point[-1]), main.chance, margin, influence, without, gate
    )
    gate_passes = gates.PASSES * model.n_layers * len(part.batches(budget, "rows"))
    cost = this.cost(0) | {
        "block_passes": removal_passes + influence_passes + gate_passes,
        "removal_block_passes": removal_passes,
    }
    return Measured(named, influence, without, lost.low, lost.high, gate, margin, len(part.questions), cost)


def _without_each_block(
    this: Session[Measured], given: CriterionInput
) -> tuple[Float[np.ndarray, " block"], Float[np.ndarray, "block question"], int]:
    """The margin without each block, in the mean and question by question, and the block passes that it took.

    It is the first step of a path by margin, and is kept in the journal of paths.
    """
    assert this.run is not None
    (part,), blocks = given.asked, range(given.model.n_layers)
    with Journal(this.run.path / pruned.FOLDER / JOURNAL) as paths:
        selector = IterativeSelector(replace(given, journal=paths), [TaskObjective(part, decision_margin)])
        step = selector.choose(Step(tuple(blocks)))
    if step is None:
        raise RunError(
            f"{given.model.name} has a single block, and a path none to remove: there is nothing to forecast."
        )
    means = np.array([step.scores[block] for block in blocks])
    return means, np.stack([selector.values[block] for block in blocks]), selector.passes
