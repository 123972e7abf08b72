"""Export a step of a path as a checkpoint that is proven to reload."""

from dataclasses import dataclass, replace
from pathlib import Path

from layercliff.analyses.recover.load import find_trained_step, with_trained_weights
from layercliff.errors import RunError
from layercliff.exporting import answers, card, recipe
from layercliff.exporting.spec import ExportSpec
from layercliff.models import checkpoint, loading, quirks
from layercliff.models.anatomy import text_config
from layercliff.models.checkpoint import ReloadProof
from layercliff.models.lookup import LocatedModel
from layercliff.models.model import Model
from layercliff.models.precision import ROUNDING
from layercliff.models.surgery import cut
from layercliff.pruning.result import Pruned
from layercliff.pruning.selected_step import SelectedStep, select_step
from layercliff.readout.encoded_task import EncodedTask
from layercliff.report import words
from layercliff.run.resolved import ResolvedRun
from layercliff.run.spec import RunSpec
from layercliff.run.verb import verb

PREDICTIONS = 32  # report questions that the checkpoint has to answer as the path's model did
SEQUENCES = 4  # prompts of which all logits and a continuation are compared


@dataclass(frozen=True)
class Exported:
    """A checkpoint that was written, and how it was proven.

    Attributes:
        directory: Where it lies.
        step: Step of the path.
        kept: Dense indices of its blocks.
        proof: What a fresh process found.
        predictions_compared: Questions whose scores are the path's.
        predictions_tied: Those in which another option wins, by no more than rounding explains.
        shown: Whether the step is shown to do no harm, in a sentence.
        scores_differ: Largest difference of a score, as a share of what rounding explains.
    """

    directory: Path
    step: int
    kept: tuple[int, ...]
    proof: ReloadProof
    predictions_compared: int
    predictions_tied: int
    shown: str
    scores_differ: float = 0.0


@verb(ExportSpec, page=False)
def export(spec: ExportSpec) -> Exported:
    """Write a step of the path by `criterion` in the run directory `run` as a plain checkpoint `to`.

    `step` is a number, ``before-cliff``, or ``recommended`` (the default). The checkpoint holds safetensors, a
    configuration with every per-layer field sliced, the tokenizer, the generation configuration, a model card and
    ``layercliff.json`` with dense indices. It appears only after a fresh process has reloaded it on a CPU and found all
    of this:

    * Every tensor is equal to the bit.
    * Logits differ by no more than two copies of the same model do, as measured.
    * The text is the same with and without a cache.
    * The scores of 32 report questions (all, where there are fewer), shared between the tasks, are the path's own
      within rounding.

    Rounding is what `layercliff.models.precision.ROUNDING` says: 1e-4 of the largest logit in float32, 0.004 in
    float16, 0.03 in bfloat16. Questions and texts in which that decides are counted. With `trained`, the step has the
    weights that `layercliff.recover` trained by that seed. Its scores are then those traced there. With `recipes`, the
    model card says how other tools make the same model (see `layercliff.recipe`).

    Raises `LayercliffError` saying what is missing or does not hold.
    """
    if spec.to is None:
        raise RunError("A checkpoint is written to a new directory: name one with to.")
    run, to, trained, recipes = spec.run, spec.to, spec.trained, spec.recipes
    report, trust_remote_code, device = spec.report, spec.trust_remote_code, spec.device
    checkpoint.vacant(Path(to))
    found = select_step(run, spec.step, spec.criterion)
    if recipes and trained is not None:
        raise RunError("Other tools cannot make trained weights: leave out the recipes, or the training.")
    located = found.located(report)
    written = recipe.of(found, trust_remote_code, report) if recipes else None
    trained_step = None if trained is None else find_trained_step(Path(run), found, trained)
    report("loading the dense model", 0, 1)
    model = _cut(found, located, device, trust_remote_code)
    if trained_step is not None:
        model = with_trained_weights(model, trained_step.folder)
    report("loading the dense model", 1, 1)
    n_layers = quirks.block_count(text_config(loading.configuration(located.name, located.location, trust_remote_code)))
    asked = answers.drawn(_report_questions(found.pruned, model), PREDICTIONS)
    prompts = [row.tokens for part in asked for row in part.rows if row.option in (None, 0)]  # one of each question
    sequences = prompts[:: max(1, len(prompts) // SEQUENCES)][:SEQUENCES]
    report("exporting and reloading", 0, 1)
    with checkpoint.exporting(model, Path(to), sequences, answers.queries(asked), trust_remote_code) as reloaded:
        trace = found.pruned.traces[found.step] if trained_step is None else trained_step.trace
        agreed = answers.compare(asked, reloaded.answers, trace, ROUNDING[found.pruned.subject.dtype])
        exported = Exported(
            Path(to), found.step, located.dense(found.kept), reloaded.proof, agreed.questions, agreed.tied,
            words.shown(found.pruned, found.step), agreed.difference,
        )  # fmt: skip
        proven = words.proof(exported)
        documents = card.documents(found, located, n_layers, written, trained_step, trust_remote_code, proven)
        checkpoint.write(reloaded.directory, documents)
    report("exporting and reloading", 1, 1)
    return exported


def _cut(chosen: SelectedStep, located: LocatedModel, device: str, trust: bool) -> Model:
    """The model that the path began with, with only the blocks of a step."""
    subject = chosen.pruned.subject
    began = loading.load_located(located, subject.dtype, subject.weights_dtype, device, trust)
    cut(began.network, chosen.kept, chosen.blends)
    return Model.of(began.network, began.tokenizer, subject.model, subject.revision, began.anatomy.dtype)


def _report_questions(pruned: Pruned, model: Model) -> tuple[EncodedTask, ...]:
    """The report half of each task, asked again as it was."""
    subject = pruned.subject
    task = ",".join(t.asked_for or t.name for t in subject.tasks)
    spec = RunSpec(
        model, task, shots=subject.shots, sampler=subject.sampler, limit=subject.limit, seed=subject.seed,
        chat=subject.chat, skip_bad_rows=True,
    )  # fmt: skip
    setting = ResolvedRun.of(spec)
    for there, here in zip(subject.tasks, setting.subject.tasks, strict=True):
        if there.digest != here.digest:
            raise RunError(
                f"The questions of {there.name} ({there.source}) have changed since the path was made: predictions "
                "cannot be compared."
            )
    return tuple(part.of("report") for part in replace(setting, subject=subject).ask(model))
