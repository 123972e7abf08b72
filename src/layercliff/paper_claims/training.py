"""Train what the claim on fine-tuning needs: steps around the collapse, and the dense model in the same way."""

from typing import Any

from layercliff.analyses.recover import result as recovered
from layercliff.analyses.recover.result import HOW, Recovered
from layercliff.analyses.recover.run import ALL, BATCH, LIBRARIES, UPDATES, around, recover
from layercliff.analyses.recover.spec import RecoverSpec
from layercliff.errors import RunError
from layercliff.models import adapters
from layercliff.paper_claims.evidence import Evidence, Measurement, Planned
from layercliff.paper_claims.spec import ClaimsSpec
from layercliff.pruning import result as pruned
from layercliff.pruning.result import Pruned
from layercliff.run.directory import RunDirectory
from layercliff.run.spec import renamed

RENAMED = renamed(RecoverSpec)  # settings are stored by former names
MODELS = 4  # the dense one, and steps below, at and beyond the collapse


def require(run: RunDirectory) -> None:
    """Raise `LayercliffError` where something will have to be trained and cannot be, before anything else is run."""
    path, kept = pruned.read(run, "margin"), recovered.read(run)
    if path is not None and not lacks(kept, path):
        return
    if kept is not None and kept.settings.criterion != "margin":
        raise RunError(
            f"{run.path} holds trained steps of the path by {kept.settings.criterion}, which those by margin would "
            "replace: choose another --out, or leave out --recover."
        )
    for name in LIBRARIES:
        adapters.library(name)


def lacks(kept: Recovered | None, path: Pruned) -> bool:
    """Whether steps around the collapse of `path` are still to be trained; not where none lies beyond the collapse."""
    step = path.collapse.step
    if step is None or step == len(path.steps) - 1:
        return False
    return kept is None or not is_of(kept, path) or not set(around(path)) <= set(kept.steps)


def is_of(found: Recovered, path: Pruned) -> bool:
    """Whether trained steps are those of a path as it is, and training changed them."""
    of_path = path.holds(found.settings) and found.settings.cliff == path.collapse.step
    return bool(of_path and found.settings.updates > 0)


def passes(planned: Planned) -> float:
    """Block passes per question, forward and backward, over all models."""
    kept = recovered.read(planned.run)
    about = {"seeds": 1, "updates": UPDATES, "batch": BATCH} if kept is None else kept.settings.raw()
    trained = MODELS * float(about["seeds"] * about["updates"] * about["batch"]) / planned.questions
    return 3 * trained * planned.n_layers


def train(spec: ClaimsSpec, evidence: Evidence, kept: Recovered | None) -> Recovered:
    """Train the dense model and the steps around the collapse of the path.

    They are trained as those that are `kept` of this path were, and together with them.
    """
    path = evidence.path
    steps, how = set(around(path)), dict[str, Any](updates=UPDATES, batch=BATCH)
    if kept is not None and is_of(kept, path):
        steps |= set(kept.steps)
        how = {RENAMED.get(name, name): getattr(kept.settings, name) for name in (*HOW, "seeds", "material")}
    return recover(spec.into(RecoverSpec, steps=sorted(steps), criterion="margin", **how))


TRAINED = Measurement(
    ALL,
    place=90,
    passes=passes,
    read=recovered.read,
    run=train,
    suffices=lambda kept, evidence: not lacks(kept, evidence.path),
    check=require,
    asked=lambda spec: spec.recover,
)
