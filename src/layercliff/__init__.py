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

    from layercliff.analyses.ablate.run import ablate as ablate
    from layercliff.analyses.controls.result import Controlled as Controlled
    from layercliff.analyses.controls.run import controls as controls
    from layercliff.analyses.forecast.result import Forecast as Forecast
    from layercliff.analyses.forecast.run import forecast as forecast
    from layercliff.analyses.intervention_result import InterventionResult as InterventionResult
    from layercliff.analyses.lens.run import lens as lens
    from layercliff.analyses.noise.run import noise as noise
    from layercliff.analyses.patch.run import patch as patch
    from layercliff.analyses.recover.result import Recovered as Recovered
    from layercliff.analyses.recover.run import recover as recover
    from layercliff.analyses.similarity.result import Similar as Similar
    from layercliff.analyses.similarity.run import similarity as similarity
    from layercliff.analyses.trace.result import Traced as Traced
    from layercliff.analyses.trace.run import trace as trace
    from layercliff.comparison.run import compare as compare
    from layercliff.errors import LayercliffError as LayercliffError
    from layercliff.errors import ModelError as ModelError
    from layercliff.errors import RunError as RunError
    from layercliff.errors import TaskError as TaskError
    from layercliff.evaluation.result import Evaluated as Evaluated
    from layercliff.evaluation.run import evaluate as evaluate
    from layercliff.exporting.recipe import recipe as recipe
    from layercliff.exporting.run import export as export
    from layercliff.metrics.analysis import Analysis as Analysis
    from layercliff.models.loading import load as load
    from layercliff.models.model import Model as Model
    from layercliff.models.recipe import Recipe as Recipe
    from layercliff.models.recipe import Recipes as Recipes
    from layercliff.paper_claims.result import Claimed as Claimed
    from layercliff.paper_claims.run import claims as claims
    from layercliff.planning.run import Plan as Plan
    from layercliff.planning.run import plan as plan
    from layercliff.pruning.assess import assess as assess
    from layercliff.pruning.assessment import Assessment as Assessment
    from layercliff.pruning.result import Pruned as Pruned
    from layercliff.pruning.run import prune as prune
    from layercliff.readout.trace import Trace as Trace
    from layercliff.report.redraw import figures as figures
    from layercliff.studies.plan import plan_study as plan_study
    from layercliff.studies.result import Studied as Studied
    from layercliff.studies.run import study as study
    from layercliff.tasks.question import Lettering as Lettering
    from layercliff.tasks.question import Question as Question
    from layercliff.tasks.question import Task as Task

_PUBLIC = {
    "Analysis": "metrics.analysis",
    "Assessment": "pruning.assessment",
    "ablate": "analyses.ablate.run",
    "assess": "pruning.assess",
    "Claimed": "paper_claims.result",
    "Controlled": "analyses.controls.result",
    "Evaluated": "evaluation.result",
    "Forecast": "analyses.forecast.result",
    "LayercliffError": "errors",
    "Lettering": "tasks.question",
    "Model": "models.model",
    "ModelError": "errors",
    "Plan": "planning.run",
    "InterventionResult": "analyses.intervention_result",
    "Pruned": "pruning.result",
    "Question": "tasks.question",
    "Recipe": "models.recipe",
    "Recipes": "models.recipe",
    "Recovered": "analyses.recover.result",
    "RunError": "errors",
    "Similar": "analyses.similarity.result",
    "Studied": "studies.result",
    "Task": "tasks.question",
    "TaskError": "errors",
    "Trace": "readout.trace",
    "Traced": "analyses.trace.result",
    "claims": "paper_claims.run",
    "compare": "comparison.run",
    "controls": "analyses.controls.run",
    "evaluate": "evaluation.run",
    "export": "exporting.run",
    "figures": "report.redraw",
    "forecast": "analyses.forecast.run",
    "lens": "analyses.lens.run",
    "load": "models.loading",
    "noise": "analyses.noise.run",
    "patch": "analyses.patch.run",
    "plan": "planning.run",
    "plan_study": "studies.plan",
    "prune": "pruning.run",
    "recipe": "exporting.recipe",
    "recover": "analyses.recover.run",
    "similarity": "analyses.similarity.run",
    "study": "studies.run",
    "trace": "analyses.trace.run",
}
RENAMED = {"Probed": "InterventionResult", "Foretelling": "Forecast", "foretell": "forecast"}
"""Former names, those of commands among them, with those of today, for one release."""
__all__ = list(_PUBLIC)
__version__ = "0.1.0"


def __getattr__(name: str) -> "Any":
    """Import a public name when it is first asked for: ``import layercliff`` loads no torch."""
    if (today := RENAMED.get(name)) is not None:
        from layercliff.former_names import warn

        warn(f"layercliff.{name}", f"layercliff.{today}")
        name = today
    module = _PUBLIC.get(name) or _of_analysis(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = found
    return found


def _of_analysis(name: str) -> "str | None":
    """The module of an analysis that was added (see docs/extending.md)."""
    from importlib.util import find_spec  # here, for it takes longer to import than the rest of this module

    if name.startswith("_") or find_spec(f"{__name__}.analyses.{name}") is None:
        return None
    return f"analyses.{name}.run"


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
