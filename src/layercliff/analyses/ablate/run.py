"""Ablate: what each block, and each adjacent pair, is worth."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from layercliff.analyses.ablate import result as results
from layercliff.analyses.ablate.spec import AblateSpec
from layercliff.analyses.intervention_result import InterventionResult
from layercliff.errors import TaskError
from layercliff.interventions import ablation, forks
from layercliff.interventions.ablated_blocks import HOW, How, ablated_blocks
from layercliff.interventions.forks import Fork
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.read import MakeStates
from layercliff.run.directory import JOURNAL, Journal, RunDirectory, key
from layercliff.run.session import Session, session
from layercliff.run.verb import verb

SKIPPING = key("blocks are only skipped")
"""A journal entry of an ablation without means."""


@verb(AblateSpec)
def ablate(spec: AblateSpec) -> InterventionResult[results.AblateSettings]:
    """Take out every block and every adjacent pair, and see what is left of the decision at the last depth.

    Each is skipped, and each is replaced by what it adds to the residual stream on average. If the mean does as well
    as the block, it is its offset that matters, not its content. The mean is over the tokens of the ``select`` half of
    the questions, the first position by itself. What is left is measured on the ``report`` half. The arguments are
    those of `layercliff.trace`. With `out`, results lie in ``DIR/ablate/``.

    Returns:
        An `InterventionResult`, whose runs are ordered as `layercliff.interventions.ablated_blocks.ablated_blocks`.

    Raises:
        LayercliffError: For what cannot be used, in one sentence.
    """
    return _ablate(spec, HOW)


def skip_blocks(spec: AblateSpec) -> InterventionResult[results.AblateSettings]:
    """As `ablate`, but blocks are only skipped, where the run directory `out` has not begun to replace them as well.

    Skipping chooses nothing: it is measured on all questions.
    """
    assert spec.out is not None
    return _ablate(spec, HOW if _begun_with_means(RunDirectory(Path(spec.out))) else ("skip",))


def _begun_with_means(run: RunDirectory) -> bool:
    file = run.path / results.FOLDER / JOURNAL
    if not file.exists():
        return False
    with Journal(file) as journal:
        return journal.get(SKIPPING) is None


def _ablate(spec: AblateSpec, manners: Sequence[How]) -> InterventionResult[results.AblateSettings]:
    wanted = results.settings(manners)
    with session(spec, results.FOLDER, wanted, results.read, results.settings_of) as this:
        if this.kept is not None:
            return this.kept
        if this.journal is not None and "mean" not in manners:
            this.journal.put(SKIPPING, {})
        n_layers = this.model.n_layers
        select, report = ([part.of(half) for part in this.asked] for half in ("select", "report"))
        few = [part.task.name for part in (*select, *report) if not part.questions]
        if few:
            raise TaskError(
                f"Task {few[0]} has too few questions for means of one half and measurements on the other: ask at "
                "least 2 groups."
            )
        means = _means(this, select) if "mean" in manners else None
        measured = list(this.asked) if means is None else report
        runs = ablation.forks(n_layers, ablated_blocks(n_layers, manners), means)
        dense, places = forks.order(n_layers, runs)
        states = partial(_states, n_layers=n_layers, runs=runs)
        trace = this.traces(this.batched(measured), states, len(dense) + len(places), "blocks and pairs taken out")
        undisturbed = trace.at(dense)
        settings = results.AblateSettings(**wanted, n_select=sum(len(part.questions) for part in select))
        found = InterventionResult(
            this.setting.subject, undisturbed, trace.scores[places], settings, this.transition(undisturbed),
            this.cost(forks.passes(n_layers, runs)),
        )  # fmt: skip
        if this.run is not None:
            results.write(this.run, found)
    return found


def _means(
    this: Session[InterventionResult[results.AblateSettings]], select: Sequence[EncodedTask]
) -> ablation.Updates:
    this.options.report("means of blocks", 0, 1)
    means = ablation.mean_updates(this.model, select, this.model.batch_tokens(this.options.batch_tokens))
    this.options.report("means of blocks", 1, 1)
    return means


def _states(_: EncodedTask, n_layers: int, runs: Sequence[Fork]) -> MakeStates:
    return partial(forks.states, n_layers=n_layers, forks=runs)
