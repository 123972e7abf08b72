"""Recover: can training bring back what pruning took away?"""

import copy
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from layercliff import cache, choices
from layercliff.analyses.recover import result as results
from layercliff.analyses.recover.load import with_trained_weights
from layercliff.analyses.recover.result import Recovered
from layercliff.analyses.recover.shapes import RecoverSettings
from layercliff.analyses.recover.spec import RecoverSpec
from layercliff.errors import RunError, TaskError
from layercliff.finetuning import training, weights
from layercliff.finetuning.examples import examples
from layercliff.finetuning.training import Progress, Training
from layercliff.models import adapters, merged_blocks
from layercliff.models.model import Model
from layercliff.models.precision import stored_in
from layercliff.models.surgery import cut
from layercliff.pruning.result import Pruned
from layercliff.pruning.selected_step import steps_of
from layercliff.pruning.step import Step
from layercliff.readout import encoded_task
from layercliff.readout.encoded_task import EncodedTask, EncodingOptions
from layercliff.readout.trace import Trace
from layercliff.run import stored_files
from layercliff.run.directory import RunDirectory, journalled, key
from layercliff.run.passes import Pass
from layercliff.run.session import Session, session
from layercliff.run.verb import verb
from layercliff.tasks import splits

LIBRARIES = ("peft", "trl")
ENOUGH = 100  # questions asked nowhere else, to be trained on without being told to
WRITTEN = 7  # times the weights: two checkpoints with the optimiser's two moments, and the end
BEYOND = 2  # steps after the collapse that are trained by default, where the path is that long
UPDATES, BATCH = 100, 16
ALL = "trained models"  # what progress of all trainings together is told under


@verb(RecoverSpec)
def recover(spec: RecoverSpec) -> Recovered:
    """Train steps of a path, and the dense model in the same way, and trace them again: does the decision come back?

    They are trained on the task's right answers. `steps` are steps of the path by `criterion` in the run directory
    `out` (default: the recommended one, the last before the collapse, the collapsed one, and one two steps beyond).

    Each is trained once per seed 0..`seeds` - 1, which decides the order of questions and the first adapter. AdamW
    makes `updates` of `batch` questions at the learning `rate` (default: 5e-4 for ``lora``, 5e-5 for ``full``), which
    rises and then falls along a line. The loss is that of the answer's tokens. With `distill`, so much of it is the
    divergence from the dense model there. `how` is ``lora``, which trains matrices of `rank` beside every linear layer
    of the blocks and merges them, or ``full``, which trains every weight.

    `material` is what is trained on. It is questions asked nowhere else (``unasked``: those beyond `limit`, and the
    task's pool of worked examples), or the half that the path was chosen on (``select``). Default: the first, where
    there are at least 100. Both have no group in common with the ``report`` half, which is traced.

    The other arguments are those of `layercliff.trace`. Results lie in ``DIR/recover/``, trained weights in
    ``DIR/recover/models/``. An interrupted training goes on from its last checkpoint. A finished one is not made again.

    Returns:
        A `Recovered`.

    Raises:
        LayercliffError: For what cannot be used, in one sentence.
    """
    rate = training.RATES[spec.how] if spec.rate is None else spec.rate
    how = Training(spec.how, spec.updates, spec.batch, rate, spec.rank, spec.distill)
    path, some = steps_of(spec.out, (0, *spec.steps), spec.criterion)
    if not spec.steps:
        some |= {step: path.steps[step] for step in _default(path)}
    some = dict(sorted(some.items()))
    wanted = _settings(spec, how, path, some)
    guarded = ("criterion", "material", *results.HOW)  # trainings of other steps and seeds stay
    with session(spec, results.FOLDER, wanted, results.read, lambda kept: kept.settings.raw(), guarded=guarded) as this:
        assert this.run is not None
        if this.kept is not None:
            return this.kept
        _require(how, this.setting.subject.dtype)
        recovered = _Recovery(this, this.run, how, spec.material, len(some) * spec.seeds).all(path, some, wanted)
        results.write(this.run, recovered)
    return recovered


def _settings(spec: RecoverSpec, how: Training, path: Pruned, some: Mapping[int, Step]) -> dict[str, Any]:
    """What decides the result, as it is stored."""
    return {
        "criterion": path.criterion_name,
        "steps": {str(step): list(of.kept) for step, of in some.items()},
        "merged": {str(step): _merged(of) for step, of in some.items()},
        "cliff": path.collapse.step,
        "seeds": spec.seeds,
        "material": spec.material,
        **how.as_dict(),
    }


def _require(how: Training, dtype: str) -> None:
    """Raise `LayercliffError` where nothing can be trained in this way."""
    for name in LIBRARIES:
        adapters.library(name)
    if how.method == "full" and dtype != "float32":
        raise RunError(
            f"In {dtype} most updates of full training would be rounded away: use --dtype float32, or --how lora."
        )


def around(path: Pruned) -> tuple[int, ...]:
    """The last step before the collapse, the collapsed one and one beyond, as far as the path goes.

    There are none without a collapse.
    """
    last, cliff = len(path.steps) - 1, path.collapse.step
    return () if cliff is None else tuple(sorted({cliff - 1, cliff, min(cliff + BEYOND, last)}))


def _default(path: Pruned) -> tuple[int, ...]:
    """The recommended step and those around the collapse. Without a collapse, the recommended and the last."""
    some = around(path) or (len(path.steps) - 1,)
    return tuple(sorted({step for step in (path.recommended, *some) if step > 0}))


def _merged(of: Step) -> str | None:
    """Which blocks of a step are merged, as a fingerprint."""
    return key(merged_blocks.ordered(of.blends))[:16] if of.blends else None


def _checkpoints(identity: dict[str, Any]) -> str:
    """Where a training lies until it is finished."""
    return f"{results.CHECKPOINTS}/{key(identity)[:16]}"


def _write(place: Path, trained: Any, content: dict[str, Any]) -> None:
    weights.save(trained, place)
    stored_files.write_json(place / results.RECORD, content)


class _Recovery:
    """Trains steps of a path and traces them. What is finished lies in the run directory."""

    def __init__(
        self, this: Session[Recovered], run: RunDirectory, how: Training, material: choices.Material | None, models: int
    ) -> None:
        self.this, self.run, self.how, self.models, self.finished = this, run, how, models, 0
        for part in this.asked:
            if "report" not in part.half_of:
                raise TaskError(
                    f"Task {part.task.name} has too few questions to leave some for a report: ask at least 2 groups."
                )
        self.report_half = [part.of("report") for part in this.asked]
        parts = {part.task.name: self._material(index, part, material) for index, part in enumerate(this.asked)}
        self.examples = examples([part for part, _ in parts.values()])
        self.material: dict[str, dict[str, Any]] = {
            name: {"from": chosen, "n": len(part.questions), "digest": key(part.questions)[:16]}
            for name, (part, chosen) in parts.items()
        }
        self.seconds = 0.0
        for name, about in self.material.items():
            this.options.note(f"{name}: trained on {about['n']} {results.SAID[about['from']]}.")

    def _material(
        self, index: int, part: EncodedTask, wanted: choices.Material | None
    ) -> tuple[EncodedTask, choices.Material]:
        """What is trained on of one task, as it is put to the model."""
        setting, subject, task = self.this.setting, self.this.setting.subject, part.task
        questions, shown = splits.unasked(task, subject.seed, subject.limit, subject.shots, subject.sampler)
        chosen = wanted or ("unasked" if len(questions) >= ENOUGH else "select")
        if chosen == "select":
            half = dict(zip((q.id for q in part.questions), part.half_of, strict=True))
            pairs = [(q, s) for q, s in zip(*setting.drawn[index], strict=True) if half.get(q.id) == "select"]
            questions, shown = tuple(q for q, _ in pairs), tuple(s for _, s in pairs)
        if not questions:
            raise TaskError(f"Task {task.name} leaves no question to train on ({chosen}): lower --limit.")
        put = encoded_task.ask(
            self.this.model, task, part.form, questions, shown,
            EncodingOptions(subject.normalisation or "sum", subject.chat, subject.seed, whole=True),
        )  # fmt: skip
        return put, chosen

    def all(self, path: Pruned, some: Mapping[int, Step], wanted: Mapping[str, Any]) -> Recovered:
        """Every step trained by every seed."""
        seeds = range(wanted["seeds"])
        trained = {
            step: [self.trained(step, of, path.traces[step], seed) for seed in seeds] for step, of in some.items()
        }
        return Recovered(
            self.this.setting.subject,
            {step: path.traces[step] for step in trained},
            {step: tuple(trace for trace, _ in runs) for step, runs in trained.items()},
            RecoverSettings(**wanted),
            self.material,
            {step: [course for _, course in runs] for step, runs in trained.items()},
            self.cost(),
        )

    def trained(self, step: int, of: Step, untrained: Trace, seed: int) -> tuple[Trace, results.Course]:
        """The trace of a step after training, and the course of the training."""
        folder, what = results.folder_of(step, seed), f"training step {step}, seed {seed}"
        digests = {name: about["digest"] for name, about in self.material.items()}
        subject = self.this.setting.subject
        identity = results.identity(self.how.as_dict(), of.kept, _merged(of), digests, subject, seed)
        record = results.record(self.run, folder)
        if record is None or record.identity != identity:
            self.run.forget(folder)
            self._train(of, seed, folder, identity, what)
            record = results.record(self.run, folder)
            assert record is not None
        self.run.forget(_checkpoints(identity))
        self.seconds += record.seconds
        name = key("trained", subject.model_dump(), identity)
        kept = journalled(self.this.journal, name, partial(self._scores, of, folder))
        self.finished += 1
        self._tell(0)
        nothing = np.full(kept["scores"].shape[:2], np.nan, np.float32)
        return replace(untrained, scores=kept["scores"], option_mass=nothing), results.course(record.losses)

    def _scores(self, of: Step, folder: str) -> dict[str, np.ndarray]:
        return {"scores": self._read(with_trained_weights(self._pruned(of), self.run.path / folder)).scores}

    def cost(self) -> dict[str, Any]:
        """What it took; training counts whenever it was done."""
        cost = self.this.cost(self.this.model.n_layers)
        versions = {name: version(name) for name in LIBRARIES}
        return {**cost, "versions": cost["versions"] | versions, "training_seconds": round(self.seconds, 2)}

    def _pruned(self, of: Step) -> Model:
        """A step's model beside the dense one, with weights of its own in the dtype that it computes in."""
        dense = self.this.model
        network: Any = copy.deepcopy(dense.network)
        cut(network, of.kept, of.blends)
        stored_in(dense.anatomy.dtype, network)
        network.requires_grad_(True)
        return Model.of(network, dense.tokenizer, dense.name, dense.revision, dense.anatomy.dtype)

    def _train(self, of: Step, seed: int, folder: str, identity: dict[str, Any], what: str) -> None:
        begin = time.perf_counter()
        checkpoints = self.run.path / _checkpoints(identity)
        model = self._pruned(of)
        if self.how.method == "full":
            size = sum(p.numel() * p.element_size() for p in model.network.parameters())
            cache.require_space(self.run.path, WRITTEN * size, "Full training with its checkpoints", "--out")
        options = self.this.options
        trained, losses = training.train(
            model, self.this.model, self.examples, self.how, seed, checkpoints,
            Progress(what, self._told, options.note), options.batch_tokens,
        )  # fmt: skip
        content = {"identity": identity, "losses": losses, "seconds": round(time.perf_counter() - begin, 2)}
        cache.make_directory(self.run.path / folder, partial(_write, trained=trained, content=content))

    def _told(self, what: str, done: int, total: int, /) -> None:
        """The progress of a training, and with it of all."""
        self.this.options.report(what, done, total)
        self._tell(done)

    def _tell(self, done: int) -> None:
        updates = max(1, self.how.updates)
        self.this.options.report(ALL, self.finished * updates + done, self.models * updates)

    def _read(self, model: Model) -> Trace:
        reading = Pass(model, self.this.setting.subject, None, self.this.options.report, self.this.options.note)
        budget = model.batch_tokens(self.this.options.batch_tokens)
        found = Trace.joined([part.trace(readings) for part, readings in reading.readings(self.report_half, budget)])
        self.this.batches += reading.batches
        return found
