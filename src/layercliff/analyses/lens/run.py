"""Lens: is a depth silent, or does it speak in another basis?"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import numpy as np
from jaxtyping import Float
from torch import Tensor

from layercliff import packages
from layercliff.analyses.intervention_result import InterventionResult
from layercliff.analyses.lens import result as results
from layercliff.analyses.lens.spec import LensSpec
from layercliff.choices import Lenses
from layercliff.errors import RunError, TaskError, nearest
from layercliff.metrics import linear_probe
from layercliff.models.blockwise_pass import BlockwisePass
from layercliff.readout import tuned_lens_file as files
from layercliff.readout import tuned_lens_training
from layercliff.readout.batches import Batch
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.option_states import option_states
from layercliff.readout.read import MakeStates
from layercliff.readout.tuned_lens_file import TrainedLens
from layercliff.readout.tuned_lens_training import LensTraining
from layercliff.run.directory import key
from layercliff.run.session import Session, session
from layercliff.run.strict_json import plain
from layercliff.run.verb import verb
from layercliff.tasks import text as texts


@verb(LensSpec)
def lens(spec: LensSpec) -> InterventionResult[results.LensSettings]:
    """Read the questions at every depth through the logit lens and through `lenses`.

    * ``tuned``: an affine map per depth brings the state to what the last depth would hold (Belrose et al. 2023).
      Training takes `tokens` tokens of `text` (a file or name, see `layercliff.tasks.text.load`), and `steps` of
      descent after the least squares. Or maps are read from `trained`: the ``lens/tuned.safetensors`` of another run
      of the same model. See `layercliff.readout.tuned_lens_training`.
    * ``probe``: a direction is fitted to the gold options of other groups of questions (Alain and Bengio 2016). It
      scores the options. The control is fitted to gold options exchanged at random (Hewitt and Liang 2019).

    All questions are asked. With `out`, results lie in ``DIR/lens/``.

    Returns:
        An `InterventionResult`, whose runs are the other lenses' depths, one lens after the other.

    Raises:
        LayercliffError: For what cannot be used, in one sentence.
    """
    wanted, maps, passages = _wanted(spec)

    def about(kept: InterventionResult[results.LensSettings]) -> dict[str, Any]:
        return {name: value for name, value in kept.settings.raw().items() if name != "provenance"}

    guarded = ("lenses", "trained", "text", "digest", "tokens", "steps")
    with session(spec, results.FOLDER, wanted, results.read, about, guarded=guarded) as this:
        if this.kept is not None:
            return this.kept
        if passages and spec.text in {one.name for one in this.setting.tasks}:
            raise TaskError(f"The lens would be trained on what {spec.text} asks about: give another --text.")
        if passages:
            maps = tuned_lens_training.train(
                this.model,
                LensTraining(spec.text, passages, spec.tokens, spec.steps, this.setting.subject.seed),
                this.model.batch_tokens(spec.batch_tokens),
                this.journal,
                spec.report,
            )
        through = maps.lens(this.model) if maps else None
        n_depths = this.model.n_layers + 1
        planned = this.batched(this.asked)
        logit = this.traces(planned, _depths, n_depths, "reading through the logit lens")
        runs: list[np.ndarray] = []
        if through is not None:
            runs.append(this.traces(planned, _depths, n_depths, "reading through the tuned lens", lens=through).scores)
        if "probe" in wanted["lenses"]:
            runs += _probe(this, logit.mask)
        provenance = plain(asdict(maps.provenance)) if maps else None
        found = InterventionResult(
            this.setting.subject,
            logit,
            np.concatenate(runs),
            results.LensSettings(**wanted, provenance=provenance),
            this.transition(logit),
            this.cost(this.model.n_layers),
        )
        if this.run is not None:
            if maps:
                files.write(this.run.path / results.TUNED, maps)
            results.write(this.run, found)
    return found


def _wanted(spec: LensSpec) -> tuple[dict[str, Any], TrainedLens | None, tuple[str, ...]]:
    """What a finished result must say of itself, with the tuned lens that is read, or the text for training one."""
    if unknown := [name for name in spec.lenses if name not in get_args(Lenses)]:
        raise RunError(f"There is no lens {unknown[0]!r}: {nearest(unknown[0], list(get_args(Lenses)))}")
    if not spec.lenses:
        raise RunError(f"No lens was named: take {' or '.join(get_args(Lenses))}, or both.")
    wanted: dict[str, Any] = {"lenses": [name for name in get_args(Lenses) if name in spec.lenses]}
    if "tuned" not in spec.lenses:
        return wanted, None, ()
    if spec.trained is not None:
        maps = files.read(Path(spec.trained))
        return wanted | {"trained": packages.sha256(Path(spec.trained))}, maps, ()
    passages = texts.load(spec.text)
    of_text = {"text": spec.text, "digest": texts.digest(passages), "tokens": spec.tokens, "steps": spec.steps}
    return wanted | of_text, None, passages


def _depths(_: EncodedTask) -> MakeStates:
    def states(passage: BlockwisePass, _batch: Batch) -> Iterator[tuple[int, Tensor]]:
        return passage.depths()

    return states


def _probe(
    this: Session[InterventionResult[results.LensSettings]], mask: np.ndarray
) -> list[Float[np.ndarray, "depth question option"]]:
    """The cross-validated scores of the probe, and of the control, at every depth. Both are measured at the gold
    option's place."""
    seed, n_depths = this.setting.subject.seed, this.model.n_layers + 1
    found = [np.full((n_depths, *mask.shape), np.nan, np.float32) for _ in range(2)]
    begin = 0
    for part in this.asked:
        here = slice(begin, begin := begin + len(part.questions))
        fold = linear_probe.folds([question.group for question in part.questions], seed)
        drawn = linear_probe.shuffled(part.questions, part.form, seed)
        name = key("probe", this.setting.subject.model_dump(), part.form, [q.id for q in part.questions])
        states: Float[np.ndarray, "depth question _ d"] | None = None
        for depth in range(n_depths):
            this.options.report(f"probing {part.task.name}", depth, n_depths)
            kept = this.journal.get(f"{name} {depth}") if this.journal else None
            if kept is None:
                if states is None:
                    budget = this.model.batch_tokens(this.options.batch_tokens)
                    states = option_states(this.model, part, budget, this.options.report)
                kept = {
                    label: linear_probe.cross_validated(states[depth], part.mask, gold, fold)
                    for label, gold in (("probe", part.gold), ("control", drawn))
                }
                if this.journal:
                    this.journal.put(f"{name} {depth}", kept)
            found[0][depth, here, : part.width] = kept["probe"]
            found[1][depth, here, : part.width] = linear_probe.exchanged(kept["control"], part.gold, drawn)
        this.options.report(f"probing {part.task.name}", n_depths, n_depths)
    return found
