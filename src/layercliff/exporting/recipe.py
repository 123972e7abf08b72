"""Say how other tools make a step's model of the dense one, without loading it."""

from pathlib import Path

from layercliff import former_names
from layercliff.choices import At
from layercliff.errors import ModelError
from layercliff.models import loading, removable_blocks
from layercliff.models.lookup import LocatedModel
from layercliff.models.recipe import Recipes
from layercliff.models.recipes import recipes
from layercliff.progress import Report, silent
from layercliff.pruning.selected_step import SelectedStep, select_step


@former_names.arguments({"score": "criterion"})
def recipe(
    run: str | Path,
    step: int | At | None = None,
    criterion: str | None = None,
    *,
    trust_remote_code: bool = False,
    report: Report = silent,
) -> Recipes:
    """Say how other tools prune the dense model as a step did. Only its configuration is read.

    Args:
        run: The run directory.
        step: Of the path (default: the recommended one).
        criterion: What the path was chosen by (default: the only one there is).
        trust_remote_code: Run code that comes with the model.
        report: Is told of progress.

    Returns:
        A mergekit configuration and a llama.cpp command. Where a tool would make another model, the reason stands.

    Raises:
        LayercliffError: Saying what is missing.
    """
    return of(select_step(run, step, criterion), trust_remote_code, report)


def of(chosen: SelectedStep, trust_remote_code: bool, report: Report) -> Recipes:
    """`recipe` for a step that is chosen already."""
    subject, located = chosen.pruned.subject, chosen.located(report)
    if located.adapter is not None:
        raise ModelError(
            f"{located.name} has an adapter merged into it, which other tools would leave out: export the step "
            "instead, "
            "without --recipe."
        )
    config = loading.configuration(located.name, located.location, trust_remote_code)
    dtype = str(config.dtype or subject.weights_dtype).removeprefix("torch.")
    kept = located.dense(chosen.kept)
    kind = loading.auto_class(located.name, config)
    if (reason := removable_blocks.unwritable(kind, config, kept, trust_remote_code)) is not None:
        raise ModelError(f"Step {chosen.step} cannot be written as a model, by any tool: {reason}.")
    merged = bool(chosen.blends or located.blends)
    return recipes(config, _base(subject.model, located), kept, dtype, merged)


def _base(name: str, located: LocatedModel) -> str:
    """What other tools call the dense model: a GGUF file or a directory by its path, one of the hub with its commit."""
    if name.endswith(".gguf"):
        return str(Path(name).expanduser().resolve())
    if located.kept is None and located.revision.startswith("commit:"):
        return f"{name}@{located.revision.removeprefix('commit:')}"
    return str(Path(located.location).resolve())
