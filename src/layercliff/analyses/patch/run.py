"""Patch: the dense model's state in a pruned model, and the reverse."""

from functools import partial
from typing import Any

import numpy as np

from layercliff.analyses.intervention_result import InterventionResult
from layercliff.analyses.patch import result as results
from layercliff.analyses.patch.spec import PatchSpec
from layercliff.errors import RunError, TaskError
from layercliff.interventions import patching
from layercliff.pruning.selected_step import steps_of
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.read import MakeStates
from layercliff.readout.trace import Trace
from layercliff.run.session import session
from layercliff.run.verb import verb


@verb(PatchSpec)
def patch(spec: PatchSpec) -> InterventionResult[results.PatchSettings]:
    """Put the dense model's state into a pruned model: does the decision return? And the reverse.

    The state is put in after a block that both have, and the model goes on from there. With `positions` ``all`` the
    patched run is the model with every block up to there and only the kept ones above. With ``decision`` only the
    positions that are read get the other's state. Only the ``report`` half is asked: the other chose the path.

    Returns:
        An `InterventionResult`. Its runs are, per step, the pruned model's own depths, then the pruned model with
            the dense state at each of them. Last comes the dense model with the pruned one's state.

    Raises:
        LayercliffError: For what cannot be used, in one sentence.
    """
    positions = spec.positions
    path, some = steps_of(spec.out, spec.steps, spec.criterion)
    if merged := [step for step, found in some.items() if found.blends]:
        raise RunError(
            f"Step {merged[0]} of the path by {path.criterion_name} has merged blocks, whose states match none of the "
            "dense model's: patch steps of a path that only removes blocks."
        )
    chosen = {step: found.kept for step, found in some.items()}
    wanted: dict[str, Any] = {
        "positions": positions,
        "criterion": path.criterion_name,
        "steps": {str(step): list(kept) for step, kept in chosen.items()},
    }
    guarded = ("criterion", "steps", "positions")
    with session(spec, results.FOLDER, wanted, results.read, lambda kept: kept.settings.raw(), guarded=guarded) as this:
        assert this.run is not None
        if this.kept is not None:
            return this.kept
        n_layers = this.model.n_layers
        report = [part.of("report") for part in this.asked]
        if few := [part.task.name for part in report if not part.questions]:
            raise TaskError(f"Task {few[0]} has too few questions to leave some for a report: ask at least 2 groups.")
        planned = this.batched(report, "rows" if positions == "decision" else "nothing")
        runs: list[np.ndarray] = []
        undisturbed: Trace | None = None
        for step, kept in chosen.items():

            def states(_: EncodedTask, kept: tuple[int, ...] = kept) -> MakeStates:
                return partial(patching.states, n_layers=n_layers, kept=kept, positions=positions)

            dense, matches = patching.order(n_layers, kept)
            trace = this.traces(planned, states, len(dense) + matches.size, f"states exchanged with step {step}")
            undisturbed = trace.at(dense)
            runs.append(trace.scores[matches.ravel()])
        assert undisturbed is not None
        passes = sum(patching.passes(n_layers, kept) for kept in chosen.values())
        found = InterventionResult(
            this.setting.subject,
            undisturbed,
            np.concatenate(runs),
            results.PatchSettings(**wanted),
            this.transition(undisturbed),
            this.cost(passes / len(chosen)),
        )
        results.write(this.run, found)
    return found
