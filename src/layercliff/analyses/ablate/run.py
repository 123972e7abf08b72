"""Ablate: what each block, and each adjacent pair, is worth."""

from functools import partial
from typing import Any

from layercliff.analyses.ablate import result as results
from layercliff.analyses.ablate.spec import AblateSpec
from layercliff.analyses.intervention_result import Probed
from layercliff.errors import TaskError
from layercliff.interventions import ablation, forks
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.read import MakeStates
from layercliff.run.session import session
from layercliff.run.verb import verb


@verb(AblateSpec)
def ablate(spec: AblateSpec) -> Probed:
    """Take out every block and every adjacent pair, and see what is left of the decision at the last depth.

    Each is skipped, and each is replaced by what it adds to the stream on average: if the mean does as well as the block, it is its
    offset that matters, not its content. The mean is over the tokens of the ``select`` half of the questions, the first position by itself; what is
    left is measured on the ``report`` half. The arguments are those of `layercliff.trace`; with `out`, results lie in ``DIR/ablate/``.

    **Returns** a `Probed`, whose runs are ordered as `layercliff.interventions.removals.removals`. Raises `LayercliffError`, in one sentence.
    """
    wanted: dict[str, Any] = {}
    with session(spec, results.FOLDER, wanted, results.read, lambda _: wanted) as this:
        if this.kept is not None:
            return this.kept
        n_layers = this.model.n_layers
        select, report = ([part.of(half) for part in this.asked] for half in ("select", "report"))
        few = [part.task.name for part in (*select, *report) if not part.questions]
        if few:
            raise TaskError(
                f"Task {few[0]} has too few questions for means of one half and measurements on the other: ask at least 2 groups."
            )
        spec.report("means of blocks", 0, 1)
        means = ablation.mean_updates(this.model, select, this.model.batch_tokens(spec.batch_tokens))
        spec.report("means of blocks", 1, 1)
        runs = ablation.forks(n_layers, means)

        def states(_: EncodedTask) -> MakeStates:
            return partial(forks.states, n_layers=n_layers, forks=runs)

        dense, places = forks.order(n_layers, runs)
        trace = this.traces(this.batched(report), states, len(dense) + len(places), "blocks and pairs taken out")
        undisturbed = trace.at(dense)
        n_select = sum(len(part.questions) for part in select)
        found = Probed(
            this.setting.subject, undisturbed, trace.scores[places], {"n_select": n_select}, this.transition(undisturbed),
            this.cost(forks.passes(n_layers, runs)),
        )  # fmt: skip
        if this.run is not None:
            results.write(this.run, found)
    return found
