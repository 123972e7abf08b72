"""Export a step of a path as a checkpoint that is proven to reload."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from layercliff import machine
from layercliff.choices import At, Score
from layercliff.errors import ModelError, RunError
from layercliff.metrics import decision
from layercliff.models import blend, checkpoint, loading, sources
from layercliff.models.checkpoint import Proof
from layercliff.models.model import Model
from layercliff.models.recipe import Recipes
from layercliff.models.surgery import cut
from layercliff.progress import Report, silent
from layercliff.readout.asked import Asked
from layercliff.readout.lens import LogitLens
from layercliff.readout.read import Reader
from layercliff.readout.trace import Trace
from layercliff.report import words
from layercliff.results import pruned as results
from layercliff.results import traced
from layercliff.results.pruned import Pruned
from layercliff.verbs import recipe
from layercliff.verbs.chosen import Chosen, choose
from layercliff.verbs.subject import Setting
from layercliff.verbs.worn import Worn, wearing, worn_by

PREDICTIONS = 32  # report questions whose answers must be the path's


@dataclass(frozen=True)
class Exported:
    """A checkpoint, where it lies, which dense blocks it holds, and how it was proven."""

    directory: Path
    step: int
    kept: tuple[int, ...]
    proof: Proof
    predictions_compared: int


def export(
    run: str | Path,
    to: str | Path,
    *,
    step: int | At | None = None,
    score: Score | None = None,
    trained: int | None = None,
    recipes: bool = False,
    device: str = "auto",
    trust_remote_code: bool = False,
    report: Report = silent,
) -> Exported:
    """Write step `step` (a number, ``before-cliff``, or by default ``recommended``) of the path by `score` in the run directory `run` as a plain checkpoint `to`.

    The checkpoint holds safetensors, a configuration with every per-layer field sliced, the tokenizer, the generation
    configuration, a model card and ``layercliff.json`` with dense indices. It appears only after a fresh process has reloaded it with no
    missing or unexpected tensor, the same logits (in float32 on a CPU: to the last bit), the same text with and without a cache, and the
    path's own answers on up to 32 report questions. With `trained`, the step wears the weights that `layercliff.recover` trained by that seed, and its answers are
    those traced there. With `recipes`, the model card says how other tools make the same model (see `layercliff.recipe`).

    Raises `LayercliffError` saying what is missing or does not hold.
    """
    found = choose(run, step, score)
    pruned, chosen, kept = found.pruned, found.step, found.kept
    if recipes and trained is not None:
        raise RunError("Other tools cannot make trained weights: leave out the recipes, or the training.")
    written = recipe.of(found, trust_remote_code, report) if recipes else None
    worn = None if trained is None else worn_by(Path(run), found, trained)
    report("loading the dense model", 0, 1)
    model = _cut(found, device, trust_remote_code, report)
    if worn is not None:
        model = wearing(model, worn.folder)
    report("loading the dense model", 1, 1)
    asked = _report_questions(pruned, model)
    compared = _compare_predictions(pruned.traces[chosen] if worn is None else worn.trace, model, asked)
    report("exporting and reloading", 0, 1)
    sequences = [row.tokens for row in asked[0].rows[:4]]
    documents = {
        "README.md": _card(pruned, chosen, worn) + (_recipes(written) if written else ""),
        "layercliff.json": json.dumps(_record(pruned, chosen, worn), indent=1) + "\n",
    }
    proof = checkpoint.export(model, Path(to), sequences, documents)
    report("exporting and reloading", 1, 1)
    return Exported(Path(to), chosen, kept, proof, compared)


def _cut(chosen: Chosen, device: str, trust: bool, report: Report) -> Model:
    """The dense model, checked to be the path's, with only the blocks of a step."""
    subject = chosen.pruned.subject
    located = sources.locate(subject.model, report)
    if located.revision != subject.revision:
        raise ModelError(
            f"The model {subject.model} is another one than the path was made with ({located.revision} instead of {subject.revision})."
        )
    dense = loading.load_located(located, subject.dtype, subject.weights_dtype, device, trust)
    cut(dense.network, chosen.kept, chosen.blends)
    return Model.of(dense.network, dense.tokenizer, subject.model, subject.revision, dense.anatomy.dtype)


def _report_questions(pruned: Pruned, model: Model) -> tuple[Asked, ...]:
    """The report half of each task, asked again as it was."""
    subject = pruned.subject
    task = ",".join(t.asked_for or t.name for t in subject.tasks)
    setting = Setting.of(
        model, task, tokenizer=None, format=None, shots=subject.shots, sampler=subject.sampler, limit=subject.limit, seed=subject.seed, dtype=None,
        weights_dtype=None, normalisation=subject.normalisation, chat=subject.chat, skip_bad_rows=True, report=silent,
    )  # fmt: skip
    for there, here in zip(subject.tasks, setting.subject.tasks, strict=True):
        if there.digest != here.digest:
            raise RunError(
                f"The questions of {there.name} ({there.source}) have changed since the path was made: predictions cannot be compared."
            )
    return tuple(part.of("report") for part in replace(setting, subject=subject).ask(model))


def _compare_predictions(trace: Trace, model: Model, asked: tuple[Asked, ...]) -> int:
    """Read the cut model as an ordinary one on report questions: its answers must be those of `trace`."""
    compared = 0
    for part in asked:
        reader = Reader(model, LogitLens(model.anatomy.unembedding), part.form, "none")
        few = part.subset(range(min(PREDICTIONS - compared, len(part.questions))))
        scores, _ = few.scores(
            (batch, reader.read(batch)) for batch in few.batches(model.batch_tokens(), model.anatomy.shares)
        )
        n, width = few.mask.shape
        path = trace.of(part.task.name).scores[:, :n, :width]
        here, there = (decision.votes(s[-1:], few.mask)[0] for s in (scores, path))
        for index, question in enumerate(few.questions):
            if not np.array_equal(here[index], there[index]):
                raise ModelError(
                    f"The pruned model answers question {question.id} otherwise than in the run: nothing was exported."
                )
        compared += n
    return compared


def _record(pruned: Pruned, step: int, worn: Worn | None) -> dict[str, Any]:
    """``layercliff.json``: all indices are those of the dense model."""
    kept = pruned.steps[step].kept
    removed = [list(s.removed) for s in pruned.steps[1 : step + 1]]
    return {
        "base_model": pruned.subject.model,
        "base_revision": pruned.subject.revision,
        "n_layers_dense": pruned.n_layers,
        "source_layer": list(kept),
        "removed": removed,
        "merged": blend.summary(pruned.steps[step].blends),
        "score": pruned.score,
        "step": step,
        "report": traced.figures(pruned.main(step)),
        "report_dense": traced.figures(pruned.main(0)),
        "harmless": asdict(pruned.harmless[step - 1]) if step else None,
        "training": None if worn is None else {**worn.about, "report": traced.figures(worn.analysis)},
        "versions": machine.versions(),
    }


def _card(pruned: Pruned, step: int, worn: Worn | None) -> str:
    """The model card: what was taken out, and what is known of the rest."""
    kept = pruned.steps[step].kept
    gone = sorted(set(pruned.steps[0].kept) - set(kept))
    models = {"dense": pruned.main(0), "pruned": pruned.main(step)}
    models |= {} if worn is None else {"pruned and trained": worn.analysis}
    rows = "".join(
        f"| {name} | {words.interval(found, 'accuracy')} | {words.interval(found, 'margin')} |\n"
        for name, found in models.items()
    )
    task = ",".join(t.name for t in pruned.subject.tasks)
    return f"""---
library_name: transformers
tags: [layer-pruning, layercliff]
---

# {pruned.subject.model} without {len(gone)} of its {pruned.n_layers} blocks

Removed: {", ".join(map(str, gone)) or "none"} (0-based, in the dense model). Kept, in order: {", ".join(map(str, kept))}.{words.merged(pruned.steps[step])} Base revision {pruned.subject.revision}; its licence applies.

| model | accuracy | decision margin |
|---|---|---|
{rows}
{pruned.caption()}.

{_shown(pruned, step)}{"" if worn is None else f" Trained: {worn.said}."} Likelihood on multiple choice does not vouch for generation.

Made with layercliff {machine.versions()["layercliff"]}:

    layercliff prune --model {pruned.subject.model} --task {task} --score {pruned.score} --seed {pruned.subject.seed} --out RUN
    layercliff export --run RUN --step {step}{"" if worn is None else f" --trained {worn.about['seed']}"} --to CHECKPOINT
"""


def _recipes(found: Recipes) -> str:
    """The recipes as a part of the model card."""
    parts = [
        f"With {one.tool}:\n\n```{kind}\n{one}\n```\n" if one.text else f"{one}\n"
        for one, kind in ((found.mergekit, "yaml"), (found.llama_cpp, "sh"))
    ]
    return "\n## The same model by other tools\n\n" + "\n".join(parts)


def _shown(pruned: Pruned, step: int) -> str:
    if step == 0:
        return "This is the dense model."
    found = pruned.harmless[step - 1]
    verdict = "is shown" if found.shown else "is not shown"
    return f"A loss of accuracy below {100 * results.MARGIN:.0f} points {verdict} at {words.PERCENT} (lost {100 * found.loss:+.1f}, one-sided bound {100 * found.upper:+.1f})."
