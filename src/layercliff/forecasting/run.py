"""Foretell the collapse point of a model on a task from the dense model alone, before any path is walked."""

from pathlib import Path

import numpy as np

from layercliff.analyses.trace import result as traced
from layercliff.analyses.trace.result import Traced
from layercliff.analyses.trace.run import trace
from layercliff.analyses.trace.spec import TraceSpec
from layercliff.errors import RunError
from layercliff.forecasting import result as results
from layercliff.forecasting.result import Foretelling, Measured
from layercliff.forecasting.spec import ForetellSpec
from layercliff.interventions import gates
from layercliff.metrics import decision
from layercliff.metrics import forecast as foretelling
from layercliff.metrics.statistics import Resamples, percentile_interval
from layercliff.models.lazy import LazyModel
from layercliff.pruning import result as pruned
from layercliff.pruning.criteria.answers import decision_margin
from layercliff.pruning.criteria.block_influence import block_influence
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.iterative import IterativeSelector
from layercliff.pruning.objective import TaskObjective
from layercliff.pruning.step import Step
from layercliff.run.directory import JOURNAL, Journal, RunDirectory
from layercliff.run.session import session
from layercliff.run.verb import verb


@verb(ForetellSpec)
def foretell(spec: ForetellSpec) -> Foretelling:
    """Say where the collapse will be: k*/L with an interval, by a rule fitted to a study, from what the dense model shows by itself.

    That is its trace, and on the ``select`` half the Block Influence of each block, the margin without each block (the first step of a path by ``margin``, whose path
    then begins with it), and the derivative by each block's gate. The rule is fitted to the table that ships with layercliff, or to that of the
    directory `study`. The other arguments are those of `layercliff.trace`; `out` is needed, results lie in ``DIR/trace`` and ``DIR/foretell``.

    **Returns** a `Foretelling`. Raises `LayercliffError`, in one sentence: before anything is computed where there is no rule.
    """
    training = results.training(None if spec.study is None else Path(spec.study))
    traced_, measured = measure(spec)
    x = np.array([measured.features[name] for name in foretelling.FEATURES])
    told = training.rule.foretell(x)
    found = Foretelling(traced_.subject, measured, told, training.source, len(training.table), training.models)
    run = RunDirectory(Path(str(spec.out)))
    with run.lock():
        results.write(run, found)
    return found


def measure(spec: ForetellSpec) -> tuple[Traced, Measured]:
    """Trace a model, and measure what a rule is given; both are kept in the run directory `out`."""
    if spec.out is None:
        raise RunError("What foretells the collapse is kept in a run directory: give one with --out.")
    run = RunDirectory(Path(spec.out))
    held = LazyModel(spec.model, spec)
    done = spec.resume and all((run.path / name).exists() for name in (traced.SUMMARY, results.MEASURED))
    found = trace(spec.into(TraceSpec, model=held.given(done), resume=True))
    if len(found.trace.tasks) != 1:
        raise RunError("The collapse is foretold of one task at a time: name one.")
    with session(spec.given(model=held.given(done)), results.FOLDER, {}, results.read_measured, lambda _: {}) as this:
        if this.kept is not None:
            return found, this.kept
        loaded, (part,) = this.model, [part.of("select") for part in this.asked]
        if not part.questions:
            raise RunError(
                f"Task {part.task.name} has too few questions to foretell anything from one half: ask at least 2 groups."
            )
        budget, subject = loaded.batch_tokens(spec.batch_tokens), this.setting.subject.model_dump()
        half = np.array([name == "select" for name in found.trace.half_of])
        scores = found.trace.scores[-1][half, : part.width]
        with Journal(run.path / pruned.FOLDER / JOURNAL) as paths:  # the first step of a path is the same
            last = loaded.n_layers - 1
            given = CriterionInput(
                loaded, (part,), (), (), last, this.setting.subject.seed, budget, spec.memory_bytes, None, paths, subject, spec.report, spec.note
            )  # fmt: skip
            first = IterativeSelector(given, [TaskObjective(part, decision_margin)])
            step = first.choose(Step(tuple(range(loaded.n_layers))))
        if step is None:
            raise RunError(
                f"{loaded.name} has a single block, and a path none to remove: there is nothing to foretell."
            )
        spec.report("block influence and gates", 0, 2)
        influence, passes = block_influence(given)
        spec.report("block influence and gates", 1, 2)
        gradients = gates.gradients(loaded, part, scores, budget, this.journal, subject)
        spec.report("block influence and gates", 2, 2)
        blocks = range(loaded.n_layers)
        turned = -np.array([influence[block] for block in blocks])
        without = np.array([step.scores[block] for block in blocks])
        gate = gradients.mean(1)
        (margins,) = decision.margin(decision.probabilities(scores[None], part.mask), part.mask, part.gold)
        margin, lost = float(margins.mean()), margins - np.stack([first.values[block] for block in blocks])
        resamples = Resamples.draw([question.group for question in part.questions], seed=this.setting.subject.seed)
        low, high = percentile_interval(resamples.means(lost))
        main = found.main
        features = foretelling.features(
            found.transition_depth, float(main.accuracy.point[-1]), main.chance, margin, turned, without, gate
        )
        n_batches = len(part.batches(budget, "rows"))
        cost = this.cost(0) | {
            "block_passes": first.passes + passes + gates.PASSES * loaded.n_layers * n_batches,
            "removal_block_passes": first.passes,
        }
        measured = Measured(features, turned, without, low, high, gate, margin, len(part.questions), cost)
        results.write_measured(run, measured)
    return found, measured
