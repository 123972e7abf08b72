"""The commands about one model on one set of tasks. Their options are the fields of their specs."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from layercliff.analyses.controls.spec import ControlsSpec
from layercliff.analyses.forecast.spec import ForecastSpec
from layercliff.analyses.registry import analyses
from layercliff.analyses.trace.spec import TraceSpec
from layercliff.cli import running
from layercliff.cli.from_spec import cache_dir, command, extra
from layercliff.comparison.spec import CompareSpec
from layercliff.errors import LayercliffError
from layercliff.evaluation.spec import EvaluateSpec
from layercliff.paper_claims.spec import ClaimsSpec
from layercliff.planning.spec import PlanSpec
from layercliff.pruning.spec import PruneSpec
from layercliff.run import parsing

CONTROLS = Annotated[str | None, typer.Option("--control", help="Controls to put beside the trace; see `controls`.")]
UNTIL = Annotated[bool, typer.Option("--until-collapse", help="Go on until the collapse is sure (the default).")]
OWN = {"trace", "forecast"}
"""Analyses whose commands print more than a sentence."""


def register(app: typer.Typer) -> None:
    """Add the commands, the analyses as they are registered among them."""
    add = partial(_add, app)
    add("trace", TraceSpec, trace, "Find the depth at which a model's decision forms, with its uncertainty.",
        extra("control", CONTROLS, None))  # fmt: skip
    add("plan", PlanSpec, plan, "Say what a trace and a path will take before any weight is loaded: questions, tokens, "
        "block passes, memory, time.")  # fmt: skip
    add("eval", EvaluateSpec, evaluate, "Accuracy on benchmarks, equal to lm-evaluation-harness item by item, with "
        "intervals; against another model, paired.")  # fmt: skip
    add("prune", PruneSpec, prune, "Remove blocks one by one, chosen on one half of the questions and measured on the "
        "other, and find the cliff.", extra("until_collapse", UNTIL, False))  # fmt: skip
    add("compare", CompareSpec, compare, "Put several criteria on one figure and in one table: same model, same "
        "questions, what choosing cost beside what is left.")  # fmt: skip
    for one in analyses().values():
        if one.name not in OWN:
            add(one.name, one.spec, partial(running.analyse, one.name), one.about)
    add("claims", ClaimsSpec, claims, "Judge the paper's claims C1-C10: measurement, control, rule and verdict of "
        "each; what DIR lacks for it is run first.")  # fmt: skip
    add("forecast", ForecastSpec, forecast, analyses()["forecast"].about)


def _add(app: typer.Typer, name: str, spec: Any, run: Any, help: str, *more: Any) -> None:
    app.command(name)(command(spec, run, help, *more, cache_dir()))


def trace(spec: TraceSpec, given: dict[str, Any]) -> None:
    """The trace, and controls beside it."""
    which = None if given["control"] is None else parsing.controls(given["control"])
    found = running.run("trace", spec, given)
    from layercliff.report import terminal

    terminal.show(found, Path(str(spec.out)))
    if which is not None:
        running.analyse("controls", spec.into(ControlsSpec, which=which), given)


def plan(spec: PlanSpec, given: dict[str, Any]) -> None:
    """The plan."""
    planned = running.run_quietly("plan", spec, given)
    from layercliff.report import terminal

    terminal.show_plan(planned)


def evaluate(spec: EvaluateSpec, given: dict[str, Any]) -> None:
    """The accuracies, and what differs from another model's."""
    from layercliff.evaluation.result import open_evaluation
    from layercliff.report import terminal

    against = None if spec.against is None else open_evaluation(Path(str(spec.against)))
    found = running.run("evaluate", spec.given(against=against), given)
    terminal.show_evaluation(found, Path(str(spec.out)))
    if against is not None:
        terminal.show_against(found, against)


def prune(spec: PruneSpec, given: dict[str, Any]) -> None:
    """The path."""
    if given["until_collapse"] and (spec.remove is not None or spec.to_ratio is not None):
        raise LayercliffError("--until-collapse goes on to the cliff: leave out --remove and --to-ratio.")
    found = running.run("prune", spec, given)
    from layercliff.report import terminal

    terminal.show_path(found, Path(str(spec.out)))


def compare(spec: CompareSpec, given: dict[str, Any]) -> None:
    """The paths side by side."""
    found = running.run("compare", spec, given)
    from layercliff.report import terminal

    terminal.show_comparison(found, Path(str(spec.out)))


def claims(spec: ClaimsSpec, given: dict[str, Any]) -> None:
    """The verdicts."""
    found = running.run("claims", spec, given)
    from layercliff.report import terminal

    terminal.show_claims(found, Path(str(spec.out)))


def _rule(spec: ForecastSpec) -> None:
    """Refuse a study that gives no rule."""
    from layercliff.analyses.forecast import result

    result.training_table(None if spec.study is None else Path(spec.study))


def forecast(spec: ForecastSpec, given: dict[str, Any]) -> None:
    """The forecast. Whether there is a rule is said before the model library is imported."""
    found = running.run("forecast", spec, given, partial(_rule, spec))
    from layercliff.studies import terminal

    terminal.show_forecast(found, Path(str(spec.out)))
