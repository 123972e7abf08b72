"""What lies beside an exported checkpoint's weights: a model card for people, ``layercliff.json`` for programs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from layercliff import machine
from layercliff.analyses.recover.load import TrainedStep
from layercliff.analyses.trace import result as traced
from layercliff.exporting.command import command, text
from layercliff.models import lookup, merged_blocks
from layercliff.models.lookup import LocatedModel
from layercliff.models.merged_blocks import Blends
from layercliff.models.recipe import Recipes
from layercliff.pruning.selected_step import SelectedStep
from layercliff.report import words


def documents(
    chosen: SelectedStep,
    located: LocatedModel,
    n_layers: int,
    recipes: Recipes | None,
    trained: TrainedStep | None,
    trust_remote_code: bool,
    proven: str,
) -> dict[str, str]:
    """Both files by name, for a step of a path that began with `located`, whose dense model has `n_layers` blocks.

    The card says how the checkpoint was `proven`, and with `recipes` how other tools make the same model. With
    `trained`, both say how the step was trained.
    """
    card = _card(chosen, located, n_layers, trained, trust_remote_code, proven) + (_recipes(recipes) if recipes else "")
    return {
        "README.md": card,
        "layercliff.json": json.dumps(_record(chosen, located, n_layers, trained), indent=1) + "\n",
    }


def _record(chosen: SelectedStep, located: LocatedModel, n_layers: int, trained: TrainedStep | None) -> dict[str, Any]:
    """What ``layercliff.json`` holds.

    Blocks are those of the dense model, also where the path began at a step of another path. `began_with` is that step.
    `removed_before` and `merged_before` are what had been done to the dense model by then. What `merged` says, it says
    of the blocks that were left then. Depths in ``report`` are the dense model's after the same block.
    """
    pruned, step = chosen.pruned, chosen.step
    base, begin = located.base or located, located.dense(pruned.steps[0].kept)
    return {
        "base_model": base.name,
        "base_revision": base.revision,
        "n_layers_dense": n_layers,
        "source_layer": list(located.dense(chosen.kept)),
        "removed": [list(located.dense(s.removed)) for s in pruned.steps[1 : step + 1]],
        "merged": merged_blocks.summary(_merged(chosen, located)),
        "began_with": pruned.subject.model,
        "removed_before": sorted(set(range(n_layers)) - set(begin)),
        "merged_before": merged_blocks.summary(located.blends),
        "criterion": pruned.criterion_name,
        "score": pruned.criterion_name,  # as version 0.1.0 called it
        "step": step,
        "report": traced.figures(pruned.main(step), located.dense(chosen.kept)),
        "report_dense": traced.figures(pruned.main(0), begin),
        "harmless": asdict(pruned.harmless[step - 1]) if step else None,
        "training": None
        if trained is None
        else {**trained.about, "report": traced.figures(trained.analysis, located.dense(chosen.kept))},
        "versions": machine.versions(),
    }


def _merged(chosen: SelectedStep, located: LocatedModel) -> Blends:
    return merged_blocks.renamed(chosen.blends, located.dense(chosen.pruned.steps[0].kept))


def _card(
    chosen: SelectedStep,
    located: LocatedModel,
    n_layers: int,
    trained: TrainedStep | None,
    trust_remote_code: bool,
    proven: str,
) -> str:
    """What was taken out, what is known of the rest, and the commands that make it again."""
    pruned, step = chosen.pruned, chosen.step
    base, kept = located.base or located, located.dense(chosen.kept)
    gone = sorted(set(range(n_layers)) - set(kept))
    first = "dense" if located.base is None else pruned.subject.model
    models = {first: pruned.main(0), "pruned": pruned.main(step)}
    models |= {} if trained is None else {"pruned and trained": trained.analysis}
    rows = "".join(
        f"| {name} | {words.interval(found, 'accuracy')} | {words.interval(found, 'margin')} |\n"
        for name, found in models.items()
    )
    begun = f" The path began with {pruned.subject.model}." if located.base else ""
    trust = " --trust-remote-code" if trust_remote_code else ""
    read = text(pruned)
    digest = pruned.settings.text if pruned.settings else None
    fingerprint = f"\n\n{read} is the text that was read (fingerprint {digest})." if read else ""
    front_matter = {
        "library_name": "transformers",
        "base_model": _name(base.name),
        "tags": ["layer-pruning", "layercliff"],
    }
    blocks = f"Removed: {', '.join(map(str, gone)) or 'none'} (0-based, in the dense model)."
    blocks += f" Kept, in order: {', '.join(map(str, kept))}."
    blocks += f"{words.merged(located.blends)}{words.merged(_merged(chosen, located))}{begun}"
    said = "" if trained is None else f" Trained: {trained.said}."
    option = "" if trained is None else f" --trained {trained.about['seed']}"
    return f"""---
{yaml.safe_dump(front_matter, sort_keys=False, allow_unicode=True)}---

# {base.name} without {len(gone)} of its {n_layers} blocks

{blocks} Base revision {base.revision}; its licence applies.

| model | accuracy | decision margin |
|---|---|---|
{rows}
{pruned.caption()}.

{words.shown(pruned, step)}{said} Likelihood on multiple choice does not vouch for generation.

{proven}

Made with layercliff {machine.versions()["layercliff"]}:

    {command(pruned, "RUN", trust_remote_code)}
    layercliff export --run RUN --step {step}{option} --to CHECKPOINT{trust}{fingerprint}
"""


def _name(model: str) -> str:
    """What a model is called elsewhere: its id, or the name of its directory or file."""
    return model if lookup.resolve(model).kind in ("hub", "packaged") else Path(model).expanduser().resolve().name


def _recipes(found: Recipes) -> str:
    """The recipes as a part of the model card."""
    parts = [
        f"With {one.tool}:\n\n```{kind}\n{one}\n```\n" if one.text else f"{one}\n"
        for one, kind in ((found.mergekit, "yaml"), (found.llama_cpp, "sh"))
    ]
    return "\n## The same model by other tools\n\n" + "\n".join(parts)
