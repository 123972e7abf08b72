"""Remove sets of blocks from each phase: random ones, and ones chosen by margin."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from layercliff.analyses.intervention_result import InterventionResult
from layercliff.interventions import forks
from layercliff.interventions.forks import Fork, unchanged
from layercliff.interventions.subsets import Subset, drawn, size
from layercliff.paper_claims.evidence import Evidence, Measurement
from layercliff.paper_claims.subsets import result as results
from layercliff.paper_claims.subsets.result import SubsetSettings
from layercliff.pruning.criterion import named
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.step import Step
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.read import MakeStates
from layercliff.run.session import Session, session
from layercliff.run.spec import AnalysisSpec

RACE = 0.05  # the error allowed to a choice among the blocks of a phase


def settings(transition: int) -> dict[str, Any]:
    """What decides which sets are removed."""
    return {"transition": transition, "race": RACE, "draws": "in turns"}


def subsets(spec: AnalysisSpec, transition: int) -> InterventionResult[SubsetSettings]:
    """Right answers of the ``report`` half without sets of blocks. Results lie in ``DIR/claims/subsets/``.

    Random sets come from either phase and from anywhere. Two more are chosen by margin on the other half, one block
    after another: as many decisive blocks, and as many silent ones as there are decisive ones.
    """
    wanted = settings(transition)
    settings_of = partial(_settings_of, names=tuple(wanted))
    with session(spec, results.FOLDER, wanted, results.read, settings_of) as this:
        if this.kept is not None:
            kept: InterventionResult[SubsetSettings] = this.kept
            return kept
        n_layers, m = this.model.n_layers, size(this.model.n_layers, transition)
        silent, decisive = range(transition), range(transition, n_layers)
        runs = [
            Subset("best", _chosen(this, decisive, m)),
            Subset("silent by margin", _chosen(this, silent, min(transition - 1, len(decisive)))),
            *drawn(n_layers, transition, this.setting.subject.seed),
        ]
        leave = [_fork(run, n_layers) for run in runs]
        dense, places = forks.order(n_layers, leave)
        report = this.batched([part.of("report") for part in this.asked])
        states = partial(_states, n_layers=n_layers, leave=leave)
        trace = this.traces(report, states, len(dense) + len(places), "blocks of either phase taken out")
        chosen = [(run.kind, list(run.removed)) for run in runs]
        found = InterventionResult(
            this.setting.subject, trace.at(dense), trace.scores[places], SubsetSettings(**wanted, m=m, subsets=chosen),
            transition, this.cost(forks.passes(n_layers, leave)),
        )  # fmt: skip
        assert this.run is not None
        results.write(this.run, found)
    return found


def _settings_of(kept: InterventionResult[SubsetSettings], names: Sequence[str]) -> dict[str, Any]:
    return {name: kept.settings.raw().get(name) for name in names}


def _fork(run: Subset, n_layers: int) -> Fork:
    first = min(run.removed)
    return Fork(first, tuple(block for block in run.kept(n_layers) if block > first), unchanged)


def _states(_: EncodedTask, n_layers: int, leave: Sequence[Fork]) -> MakeStates:
    return partial(forks.states, n_layers=n_layers, forks=leave)


def _chosen(this: Session[InterventionResult[SubsetSettings]], phase: Sequence[int], steps: int) -> tuple[int, ...]:
    """So many blocks of a phase, chosen by margin one after another on the ``select`` half."""
    model = this.model
    selected = tuple(part.of("select") for part in this.asked)
    others = tuple(block for block in range(model.n_layers) if block not in phase)
    given = CriterionInput(
        model, selected, (), others, steps, this.setting.subject.seed,
        model.batch_tokens(this.options.batch_tokens), race=RACE, journal=this.journal,
        subject=this.setting.subject.model_dump(), report=this.options.report, note=this.options.note,
    )  # fmt: skip
    selector, step = named("margin").make(given), Step(tuple(range(model.n_layers)))
    what = f"choosing among blocks {phase[0]}-{phase[-1]}"
    for number in range(steps):
        this.options.report(what, number, steps)
        step = selector.choose(step) or step
    this.options.report(what, steps, steps)
    return tuple(block for block in range(model.n_layers) if block not in step.kept)


def _suffices(kept: InterventionResult[SubsetSettings], evidence: Evidence) -> bool:
    wanted = settings(evidence.depth)
    return _settings_of(kept, tuple(wanted)) == wanted


SUBSETS = Measurement(
    "blocks of either phase taken out",
    place=40,
    passes=lambda planned: 0.5 * 40 * planned.n_layers,  # half of the questions
    read=results.read,
    run=lambda spec, evidence, _: subsets(spec, evidence.depth),
    suffices=_suffices,
)
