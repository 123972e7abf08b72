"""Controls: the same curves where there is nothing to decide, and where the same is asked in another way."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import polars as pl

from layercliff.analyses.controls import plain_text
from layercliff.analyses.controls import result as results
from layercliff.analyses.controls.result import MODEL, Controlled
from layercliff.analyses.controls.spec import ControlsSpec
from layercliff.choices import Control
from layercliff.errors import RunError, nearest
from layercliff.metrics import controls as nulls
from layercliff.metrics.controls import ControlOutcome
from layercliff.metrics.statistics import RESAMPLES
from layercliff.models.merged_blocks import ordered
from layercliff.models.model import Model
from layercliff.models.random_init import random_init
from layercliff.pruning import result as pruned
from layercliff.pruning.assess import LENGTH, SCORED
from layercliff.pruning.selected_step import select_step
from layercliff.pruning.step import Step
from layercliff.random_streams import RandomStream, generator
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.trace import Trace
from layercliff.run.directory import RunDirectory, key
from layercliff.run.session import Session, session
from layercliff.run.verb import verb
from layercliff.tasks import prose
from layercliff.tasks import text as texts
from layercliff.tasks.question import Question

CONTROLS: tuple[Control, ...] = get_args(Control)
GOLD_DRAWS = 20  # of other golds, which need no pass


@verb(ControlsSpec)
def controls(spec: ControlsSpec) -> Controlled:
    """Put controls beside a trace: margin and accuracy at every depth, with T.

    * ``random-weights``: a model of the same shape that has learnt nothing.
    * ``shuffled-gold``: questions exchange their right answers.
    * ``wrong-gold``: the right option is taken out, and a wrong one called right.
    * ``shuffled-options`` (*letter* only): each question's options stand in another order.
    * ``constant``: the best answer that is the same whatever the question.
    * ``plain-text``: the loss on passages of the file `text` (default: a dozen paragraphs that come with layercliff) at
      every depth. It is also read along the path by `criterion` in the run directory, if it holds one.

    What needs a pass is drawn `draws` times, other golds 20 times. Earlier controls in ``DIR/controls/`` stay.

    Returns:
        A `Controlled`.

    Raises:
        LayercliffError: For what cannot be used, in one sentence.
    """
    names = _names(spec.which)
    passages = prose.PARAGRAPHS if spec.text is None else texts.load(spec.text)
    path, by = _path(spec.out, spec.criterion) if "plain-text" in names else ((), None)
    wanted: dict[str, Any] = {name: _settings(name, spec.draws, passages, path, by) for name in names}

    def about(kept: Controlled) -> dict[str, Any]:
        return {name: kept.settings[name].raw() for name in names if name in kept.settings}

    with session(spec, results.FOLDER, wanted, results.read, about) as this:
        _check(this, spec.which)
        if this.kept is not None:
            return this.kept
        before = results.read(this.run) if this.run else None
        settings = {str(name): results.ControlSettings(**wanted[name]) for name in names}
        made = [name for name in names if before is None or before.settings.get(name) != settings[name]]
        trace, seed = _trace(this), this.setting.subject.seed
        outcomes = [(MODEL, task, found) for task, found in _outcomes([trace], seed)]
        for name in made:
            outcomes += [(name, task, found) for task, found in _control(this, name, trace, wanted[name])]
        curves = [results.curve_rows(*entry) for entry in outcomes]
        table = [results.table_row(*entry) for entry in outcomes]
        text_table, passes = before.text if before else pl.DataFrame(), this.batches * trace.n_layers
        if "plain-text" in made:
            begun = this.batches
            text_table = plain_text.text_losses(this, passages, path, spec.batch_tokens)
            passes += (this.batches - begun) * (trace.n_layers + sum(len(step.kept) for step in path[1:]))
        if before is not None:
            stay = ~pl.col("control").is_in([MODEL, *made])
            curves.append(before.curves.filter(stay))
            table.append(before.table.filter(stay))
        found = Controlled(
            this.setting.subject,
            pl.concat(curves),
            pl.concat(table),
            text_table,
            {**(before.settings if before else {}), **settings},
            this.cost(passes / max(1, this.batches)),
        )
        if this.run is not None:
            results.write(this.run, found)
    return found


def _names(which: Sequence[Control]) -> tuple[Control, ...]:
    """The controls that were asked for: all where none is named."""
    if wrong := [name for name in which if name not in CONTROLS]:
        raise RunError(f"There is no control {wrong[0]!r}: {nearest(wrong[0], list(CONTROLS))}")
    return tuple(dict.fromkeys(which or CONTROLS))


def _settings(
    name: Control, draws: int, passages: Sequence[str], path: Sequence[Step], criterion: str | None
) -> dict[str, Any]:
    if name in ("shuffled-gold", "wrong-gold"):
        return {"draws": GOLD_DRAWS}
    if name == "constant":
        return {}
    if name == "plain-text":
        steps = key(*((step.kept, ordered(step.blends)) for step in path))[:16]
        return {"text": texts.digest(passages), "tokens": LENGTH, "scored": SCORED, "path": criterion, "steps": steps}
    return {"draws": draws}


def _path(out: str | Path | None, criterion: str | None) -> tuple[tuple[Step, ...], str | None]:
    """The path that text is read along, with its criterion: none where the run directory holds none and none is asked
    for."""
    if criterion is None and (out is None or not pruned.criteria_of(RunDirectory(Path(out)))):
        return (), None
    if out is None:
        raise RunError(f"The path by {criterion} is wanted: name a run directory that holds it with out.")
    found = select_step(out, 0, criterion).pruned
    return found.steps, found.criterion_name


def _check(this: Session[Controlled], which: Sequence[Control]) -> None:
    """Refuse controls that were asked for and that the tasks do not allow."""
    if "shuffled-options" in which and all(task.format != "letter" for task in this.setting.subject.tasks):
        raise RunError("The control shuffled-options needs options that stand in the prompt: use --format letter.")
    asked = [question for questions, _ in this.setting.drawn for question in questions]
    if "wrong-gold" in which and all(len(question.options) == 2 for question in asked):
        raise RunError("The control wrong-gold needs questions of three options or more: leave it out for this task.")


def _trace(this: Session[Controlled]) -> Trace:
    """The run directory's trace, or one of a pass."""
    kept = this.traced
    return kept.trace if kept is not None else _read(this, this.asked, "the model itself")


def _read(this: Session[Controlled], parts: Sequence[EncodedTask], what: str, model: Model | None = None) -> Trace:
    model = model or this.model
    planned = this.batched(parts)
    return this.traces(planned, lambda _: lambda passage, _: passage.depths(), model.n_layers + 1, what, model)


def _control(
    this: Session[Controlled], name: Control, trace: Trace, settings: dict[str, Any]
) -> Iterator[tuple[str, ControlOutcome]]:
    """What a control says of each task that allows it, and of all together."""
    seed, draws = this.setting.subject.seed, range(settings.get("draws", 1))
    if name == "constant":
        parts = {task: trace.of(task) for task in trace.tasks} | ({"joint": trace} if len(trace.tasks) > 1 else {})
        yield from ((task, nulls.constant_outcome(part, RESAMPLES, seed)) for task, part in parts.items())
    elif name in ("shuffled-gold", "wrong-gold"):
        change = nulls.shuffled_gold if name == "shuffled-gold" else nulls.wrong_gold
        found = [change(trace, generator(RandomStream.OTHER_GOLDS, seed, draw)) for draw in draws]
        yield from _outcomes([one for one in found if one is not None], seed)
    elif name == "random-weights":
        weights = (int(generator(RandomStream.TWIN_WEIGHTS, seed, draw).integers(2**31)) for draw in draws)
        twins = (random_init(this.model, number) for number in weights)
        yield from _outcomes(
            [_read(this, this.asked, f"random weights {n}", twin) for n, twin in enumerate(twins)], seed
        )
    elif name == "shuffled-options":
        others = [_other_order(this, draw) for draw in draws]
        yield from _outcomes(
            [_read(this, parts, f"shuffled options {n}") for n, parts in enumerate(others) if parts], seed
        )


def _outcomes(draws: Sequence[Trace], seed: int) -> Iterator[tuple[str, ControlOutcome]]:
    """Each task, and all together under ``joint``. Nothing where no question is left."""
    if not draws:
        return
    for task in draws[0].tasks:
        yield task, nulls.outcome([one.of(task) for one in draws], RESAMPLES, seed)
    if len(draws[0].tasks) > 1:
        yield "joint", nulls.outcome(draws, RESAMPLES, seed)


def _other_order(this: Session[Controlled], draw: int) -> tuple[EncodedTask, ...]:
    """The lettered tasks with the options of each question in another order. None where no task is lettered."""
    if all(task.format != "letter" for task in this.setting.subject.tasks):
        return ()
    other = partial(_reordered, seed=this.setting.subject.seed, draw=draw)
    drawn = tuple((tuple(map(other, questions)), examples) for questions, examples in this.setting.drawn)
    return tuple(
        part for part in replace(this.setting, drawn=drawn).ask(this.model, this.options.note) if part.form == "letter"
    )


def _reordered(question: Question, seed: int, draw: int) -> Question:
    rng = generator(RandomStream.OPTION_ORDER, seed, draw, int(key(question.id)[:16], 16))
    return question.reordered(rng.permutation(len(question.options)).tolist())
