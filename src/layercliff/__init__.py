"""layercliff: where a language model's decision forms, and how many blocks can go before it collapses.

>>> import layercliff
>>> traced = layercliff.trace("gemma-3-270m", "cities")  # doctest: +SKIP
>>> traced.transition_depth  # doctest: +SKIP
13
"""

from importlib import import_module

TYPE_CHECKING = (
    False  # not the one of `typing`, which takes longer to import than all that the command line needs at first
)
if TYPE_CHECKING:
    from typing import Any

    from layercliff.errors import LayercliffError as LayercliffError
    from layercliff.errors import ModelError as ModelError
    from layercliff.errors import RunError as RunError
    from layercliff.errors import TaskError as TaskError
    from layercliff.metrics.analysis import Analysis as Analysis
    from layercliff.models.loading import load as load
    from layercliff.models.model import Model as Model
    from layercliff.models.recipe import Recipe as Recipe
    from layercliff.models.recipe import Recipes as Recipes
    from layercliff.readout.trace import Trace as Trace
    from layercliff.results.assessed import Assessment as Assessment
    from layercliff.results.claimed import Claimed as Claimed
    from layercliff.results.controlled import Controlled as Controlled
    from layercliff.results.evaluated import Evaluated as Evaluated
    from layercliff.results.foretold import Foretelling as Foretelling
    from layercliff.results.probed import Probed as Probed
    from layercliff.results.pruned import Pruned as Pruned
    from layercliff.results.recovered import Recovered as Recovered
    from layercliff.results.similar import Similar as Similar
    from layercliff.results.studied import Studied as Studied
    from layercliff.results.traced import Traced as Traced
    from layercliff.tasks.question import Lettering as Lettering
    from layercliff.tasks.question import Question as Question
    from layercliff.tasks.question import Task as Task
    from layercliff.verbs.ablate import ablate as ablate
    from layercliff.verbs.assess import assess as assess
    from layercliff.verbs.claims import claims as claims
    from layercliff.verbs.compare import compare as compare
    from layercliff.verbs.controls import controls as controls
    from layercliff.verbs.evaluate import evaluate as evaluate
    from layercliff.verbs.export import export as export
    from layercliff.verbs.figures import figures as figures
    from layercliff.verbs.foretell import foretell as foretell
    from layercliff.verbs.lens import lens as lens
    from layercliff.verbs.noise import noise as noise
    from layercliff.verbs.patch import patch as patch
    from layercliff.verbs.plan import Plan as Plan
    from layercliff.verbs.plan import plan as plan
    from layercliff.verbs.plan_study import plan_study as plan_study
    from layercliff.verbs.prune import prune as prune
    from layercliff.verbs.recipe import recipe as recipe
    from layercliff.verbs.recover import recover as recover
    from layercliff.verbs.similarity import similarity as similarity
    from layercliff.verbs.study import study as study
    from layercliff.verbs.trace import trace as trace

_PUBLIC = {
    "Analysis": "metrics.analysis",
    "Assessment": "results.assessed",
    "ablate": "verbs.ablate",
    "assess": "verbs.assess",
    "Claimed": "results.claimed",
    "Controlled": "results.controlled",
    "Evaluated": "results.evaluated",
    "Foretelling": "results.foretold",
    "LayercliffError": "errors",
    "Lettering": "tasks.question",
    "Model": "models.model",
    "ModelError": "errors",
    "Plan": "verbs.plan",
    "Probed": "results.probed",
    "Pruned": "results.pruned",
    "Question": "tasks.question",
    "Recipe": "models.recipe",
    "Recipes": "models.recipe",
    "Recovered": "results.recovered",
    "RunError": "errors",
    "Similar": "results.similar",
    "Studied": "results.studied",
    "Task": "tasks.question",
    "TaskError": "errors",
    "Trace": "readout.trace",
    "Traced": "results.traced",
    "claims": "verbs.claims",
    "compare": "verbs.compare",
    "controls": "verbs.controls",
    "evaluate": "verbs.evaluate",
    "export": "verbs.export",
    "figures": "verbs.figures",
    "foretell": "verbs.foretell",
    "lens": "verbs.lens",
    "load": "models.loading",
    "noise": "verbs.noise",
    "patch": "verbs.patch",
    "plan": "verbs.plan",
    "plan_study": "verbs.plan_study",
    "prune": "verbs.prune",
    "recipe": "verbs.recipe",
    "recover": "verbs.recover",
    "similarity": "verbs.similarity",
    "study": "verbs.study",
    "trace": "verbs.trace",
}
__all__ = list(_PUBLIC)
__version__ = "0.1.0"


def __getattr__(name: str) -> "Any":
    """Import a public name when it is first asked for: ``import layercliff`` loads no torch."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
