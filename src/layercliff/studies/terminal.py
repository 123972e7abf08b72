"""Studies and forecasts in the terminal."""

from pathlib import Path
from typing import TYPE_CHECKING

from layercliff.analyses.forecast import words as forecast_words
from layercliff.report.terminal import duration, table
from layercliff.rich_console import PlainConsole
from layercliff.studies import words as study_words

if TYPE_CHECKING:
    from layercliff.analyses.forecast.result import Forecast
    from layercliff.studies.plan import StudyPlan
    from layercliff.studies.result import Studied


def show(found: "Studied", out: Path) -> None:
    """A line per cell, what is not a plain point, how transition and collapse go together, and what a rule is worth."""
    rows = [
        (
            row.model,
            row.task,
            row.format or row.panel,
            row.criterion,
            str(row.seed),
            *_numbers(row.n_layers, row.accuracy),
            study_words.transition(row) or "failed",
            study_words.collapse(row),
        )
        for row in found.rows
    ]
    table(("model", "task", "format", "criterion", "seed", "L", "accuracy", "T", "k*"), rows)
    _say("")
    for sentence in study_words.left_out(found.rows):
        _say(sentence)
    for panel in found.panels:
        _say("")
        _say(study_words.name(panel), bold=True)
        for sentence in study_words.association(panel):
            _say(sentence)
    _say("")
    if found.unjudged:
        _say(found.unjudged)
    for judgement in found.judgements:
        for sentence in study_words.judgement(judgement):
            _say(sentence)
    _say(f"{study_words.summary(found)} Page: {out / 'report.html'}")


def _numbers(n_layers: int | None, accuracy: float | None) -> tuple[str, str]:
    return "" if n_layers is None else str(n_layers), "" if accuracy is None else f"{accuracy:.2f}"


def show_plan(plan: "StudyPlan") -> None:
    """A line per run directory and the sum."""
    rows = [
        (
            run.model,
            run.task,
            run.format,
            str(run.seed),
            ", ".join(run.criteria),
            str(run.plan.questions) if run.plan else "",
            f"{run.block_passes:,}" if run.plan else "",
            duration(run.seconds) if run.plan else str(run.reason),
        )
        for run in plan.runs
    ]
    table(("model", "task", "format", "seed", "criteria", "questions", "block passes", "at most"), rows)
    if plan.unplanned:
        _say(f"Not counted: what choosing by {', '.join(plan.unplanned)} takes.")
    guessed = any(run.plan.tokens_estimated for run in plan.runs if run.plan)
    _say(
        (
            f"At most {plan.block_passes:,} block passes, {duration(plan.seconds)} at this "
            "machine's matrix rate, without loading, if paths go to their end and nothing is "
            "reused between steps."
        )
        + (" Tokens are guessed from characters where the tokenizer is not here yet." if guessed else "")
    )


def show_forecast(found: "Forecast", out: Path) -> None:
    """The features and the sentence."""
    from layercliff.metrics.forecast import FEATURES

    rows = [(name, f"{found.measured.features[name]:.3f}", about) for name, about in FEATURES.items()]
    table(("feature", "", "what it is"), rows)
    _say("")
    _say(forecast_words.sentence(found), bold=True)
    _say(f"Page: {out / 'report.html'}")


def _say(sentence: str, bold: bool = False) -> None:
    PlainConsole().print(sentence, style="bold" if bold else None, soft_wrap=True)
