"""What claims need beyond the other analyses: sets of blocks taken out of each phase, and noise sized by the norm."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from layercliff.analyses.intervention_result import Probed
from layercliff.analyses.noise import result as noised
from layercliff.choices import Positions
from layercliff.interventions import forks
from layercliff.interventions.forks import Fork, unchanged
from layercliff.interventions.noise import Noise
from layercliff.interventions.subsets import Subset, drawn, size
from layercliff.paper_claims import subsets_result as of_subsets
from layercliff.pruning.criterion import named
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.step import Step
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.read import MakeStates
from layercliff.run.session import Session, session
from layercliff.run.spec import AnalysisSpec

RACE = 0.05  # the error allowed to a choice among the blocks of a phase
NOISE_FOLDER = "claims/noise"


def subset_settings(transition: int) -> dict[str, Any]:
    """What sets of blocks taken out of either phase depend on."""
    return {"transition": transition, "race": RACE, "draws": "in turns"}


def subsets(spec: AnalysisSpec, transition: int) -> Probed:
    """Right answers of the ``report`` half without sets of blocks: random ones of either phase and from anywhere, and, chosen on the other half by margin one
    after another, as many decisive blocks and as many silent ones as there are decisive ones. Results lie in ``DIR/claims/subsets/``."""
    wanted = subset_settings(transition)

    def about(kept: Probed) -> dict[str, Any]:
        return {name: kept.about.get(name) for name in wanted}

    with session(spec, of_subsets.FOLDER, wanted, of_subsets.read, about) as this:
        if this.kept is not None:
            return this.kept
        n_layers = this.model.n_layers
        silent, decisive = range(transition), range(transition, n_layers)
        m = size(n_layers, transition)
        runs = [
            Subset("best", _chosen(this, decisive, m)),
            Subset("silent by margin", _chosen(this, silent, min(transition - 1, len(decisive)))),
            *drawn(n_layers, transition, this.setting.subject.seed),
        ]
        leave = [
            Fork(min(run.removed), tuple(b for b in run.kept(n_layers) if b > min(run.removed)), unchanged)
            for run in runs
        ]

        def states(_: EncodedTask) -> MakeStates:
            return partial(forks.states, n_layers=n_layers, forks=leave)

        dense, places = forks.order(n_layers, leave)
        report = this.batched([part.of("report") for part in this.asked])
        trace = this.traces(report, states, len(dense) + len(places), "blocks of either phase taken out")
        chosen = [[run.kind, list(run.removed)] for run in runs]
        found = Probed(
            this.setting.subject, trace.at(dense), trace.scores[places], wanted | {"m": m, "subsets": chosen}, transition,
            this.cost(forks.passes(n_layers, leave)),
        )  # fmt: skip
        assert this.run is not None
        of_subsets.write(this.run, found)
    return found


def _chosen(this: Session[Probed], phase: Sequence[int], steps: int) -> tuple[int, ...]:
    """So many blocks of a phase, chosen by margin one after another on the ``select`` half."""
    model = this.model
    selected = tuple(part.of("select") for part in this.asked)
    others = tuple(block for block in range(model.n_layers) if block not in phase)
    given = CriterionInput(
        model, selected, (), others, steps, this.setting.subject.seed, model.batch_tokens(this.options.batch_tokens), race=RACE,
        journal=this.journal, subject=this.setting.subject.model_dump(), report=this.options.report, note=this.options.note,
    )  # fmt: skip
    selector, step = named("margin").make(given), Step(tuple(range(model.n_layers)))
    for number in range(steps):
        this.options.report(f"choosing among blocks {phase[0]}-{phase[-1]}", number, steps)
        step = selector.choose(step) or step
    this.options.report(f"choosing among blocks {phase[0]}-{phase[-1]}", steps, steps)
    return tuple(block for block in range(model.n_layers) if block not in step.kept)


def noise_by_norm(spec: AnalysisSpec, size: float, positions: Positions) -> Probed:
    """Noise at every depth, its size a share of the state's norm; all questions, one draw. Results lie in ``DIR/claims/noise/``."""
    wanted: dict[str, Any] = {"eps": [size], "draws": 1, "positions": positions, "scale": "norm"}
    read = partial(noised.read, folder=NOISE_FOLDER)
    with session(spec, NOISE_FOLDER, wanted, read, lambda kept: kept.about) as this:
        if this.kept is not None:
            return this.kept
        n_layers, subject = this.model.n_layers, this.setting.subject

        def leave(part: EncodedTask) -> list[Fork]:
            ids = tuple(f"{part.task.name}\0{question.id}" for question in part.questions)
            return Noise(ids, (size,), 1, positions, subject.seed, "norm").forks(n_layers)

        def states(part: EncodedTask) -> MakeStates:
            return partial(forks.states, n_layers=n_layers, forks=leave(part))

        some = leave(this.asked[0])
        dense, runs = forks.order(n_layers, some)
        planned = this.batched(this.asked, "questions" if positions == "all" else "rows")
        trace = this.traces(planned, states, len(dense) + len(runs), "noise by norm")
        undisturbed = trace.at(dense)
        found = Probed(
            subject, undisturbed, trace.scores[runs], wanted, this.transition(undisturbed), this.cost(forks.passes(n_layers, some))
        )  # fmt: skip
        assert this.run is not None
        noised.write(this.run, found, NOISE_FOLDER)
    return found
