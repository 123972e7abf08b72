"""Ablate: what each block, and each adjacent pair, is worth."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack

from transformers import PreTrainedModel

from layercliff.analyses.ablate import result as results
from layercliff.analyses.intervention_result import Probed
from layercliff.errors import TaskError
from layercliff.interventions import ablation, forks
from layercliff.models.model import Model
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.read import MakeStates
from layercliff.report import page
from layercliff.run.session import Options, probing
from layercliff.tasks.question import Task


def ablate(
    model: str | Model | PreTrainedModel, task: str | Task | Sequence[Task], **options: Unpack[Options]
) -> Probed:
    """Take out every block and every adjacent pair, and see what is left of the decision at the last depth.

    Each is skipped, and each is replaced by what it adds to the stream on average: if the mean does as well as the block, it is its
    offset that matters, not its content. The mean is over the tokens of the ``select`` half of the questions, the first position by itself; what is
    left is measured on the ``report`` half. The arguments are those of `layercliff.trace`; with `out`, results lie in ``DIR/ablate/``.

    **Returns** a `Probed`, whose runs are ordered as `layercliff.interventions.removals.removals`. Raises `LayercliffError`, in one sentence.
    """
    wanted: dict[str, Any] = {}
    with probing(model, task, results.FOLDER, wanted, results.read, options, lambda _: wanted) as this:
        if this.kept is not None:
            assert this.run is not None
            page.write(this.run)
            return this.kept
        n_layers = this.model.n_layers
        select, report = ([part.of(half) for part in this.asked] for half in ("select", "report"))
        few = [part.task.name for part in (*select, *report) if not part.questions]
        if few:
            raise TaskError(
                f"Task {few[0]} has too few questions for means of one half and measurements on the other: ask at least 2 groups."
            )
        this.report("means of blocks", 0, 1)
        means = ablation.mean_updates(this.model, select, this.model.batch_tokens(options.get("batch_tokens")))
        this.report("means of blocks", 1, 1)
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
            page.write(this.run)
    return found
