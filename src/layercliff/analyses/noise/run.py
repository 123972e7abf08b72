"""Noise: at which depths is the decision fragile?"""

from functools import partial
from typing import Any

from layercliff.analyses.intervention_result import InterventionResult
from layercliff.analyses.noise import result as results
from layercliff.analyses.noise.spec import NoiseSpec
from layercliff.choices import Positions
from layercliff.errors import RunError
from layercliff.interventions import forks
from layercliff.interventions.noise import Noise
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.read import MakeStates
from layercliff.run.session import session
from layercliff.run.verb import verb


@verb(NoiseSpec)
def noise(spec: NoiseSpec) -> InterventionResult[results.NoiseSettings]:
    """Put noise on the residual stream at one depth at a time, and see what is left of the decision at the last depth.

    ``h'_l = h_l + eps * sigma(h_l) * N(0, I)``, with sigma per token over its features. Noise is put at all `positions`
    of the prompt, or at those that are read (``decision``). There is a run for every depth 0..L, every size of `eps`
    and each of `draws` draws. A question's numbers are the same whatever the size and the batch. All questions are
    asked. The other arguments are those of `layercliff.trace`. With `out`, results lie in ``DIR/noise/``.

    Returns:
        An `InterventionResult`, whose runs are ordered by size, draw, depth.

    Raises:
        LayercliffError: For what cannot be used, in one sentence.
    """
    eps, draws, positions = spec.eps, spec.draws, spec.positions
    if not eps:
        raise RunError("The option --eps names no size of noise, and must be numbers such as 0.02,0.5.")
    wanted: dict[str, Any] = {"eps": list(dict.fromkeys(map(float, eps))), "draws": draws, "positions": positions}
    guarded = ("eps", "draws", "positions")
    with session(spec, results.FOLDER, wanted, results.read, lambda kept: kept.settings.raw(), guarded=guarded) as this:
        if this.kept is not None:
            return this.kept
        n_layers, subject = this.model.n_layers, this.setting.subject
        made = partial(_noise, eps=tuple(wanted["eps"]), draws=draws, positions=positions, seed=subject.seed)

        def states(part: EncodedTask) -> MakeStates:
            return partial(forks.states, n_layers=n_layers, forks=made(part).forks(n_layers))

        some = made(this.asked[0]).forks(n_layers)
        dense, runs = forks.order(n_layers, some)
        planned = this.batched(this.asked, "questions" if positions == "all" else "rows")
        trace = this.traces(planned, states, len(dense) + len(runs), "noise at every depth")
        undisturbed = trace.at(dense)
        found = InterventionResult(
            subject,
            undisturbed,
            trace.scores[runs],
            results.NoiseSettings(**wanted),
            this.transition(undisturbed),
            this.cost(forks.passes(n_layers, some)),
        )
        if this.run is not None:
            results.write(this.run, found)
    return found


def _noise(part: EncodedTask, eps: tuple[float, ...], draws: int, positions: Positions, seed: int) -> Noise:
    ids = tuple(f"{part.task.name}\0{question.id}" for question in part.questions)
    return Noise(ids, eps, draws, positions, seed)
