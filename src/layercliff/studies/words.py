"""A study in words."""

import math
from collections.abc import Iterator

from layercliff.analyses.forecast.words import INTERVAL
from layercliff.metrics.association import FEW_CLUSTERS, LEAST_CLUSTERS, SHOWN
from layercliff.metrics.forecast import BaselineComparison, Judgement
from layercliff.metrics.permuted_models import WithinTasks
from layercliff.metrics.perplexity import Estimate
from layercliff.metrics.statistics import TAIL
from layercliff.report.words import PERCENT
from layercliff.studies.result import Panel, Row, Studied


def transition(row: Row) -> str:
    """T with its interval."""
    if row.transition is None:
        return "undecided" if row.finished else ""
    return f"{row.transition} [{_end(row.transition_low)}, {_end(row.transition_high)}]"


def collapse(row: Row) -> str:
    """k* in blocks removed, with its interval (of random, the range of its draws)."""
    if not row.finished:
        return ""
    if not row.defined:
        return "none: no better than chance"
    if row.collapse is None:
        return f"censored > {row.collapse_beyond:g}"
    return f"{row.collapse:g} [{_end(row.collapse_low)}, {_end(row.collapse_high)}]"


def _end(value: int | None) -> str:
    return "∞" if value is None else str(value)


def name(panel: Panel) -> str:
    """What a panel's cells have in common."""
    form = "each task's own format" if panel.format == "own" else f"format {panel.format}"
    return f"{panel.criterion}, {form}"


def association(panel: Panel) -> Iterator[str]:
    """How transition and critical ratio go together, and what that leaves out."""
    found = panel.association
    if found.pearson is None or found.spearman is None:
        why = "a side does not vary" if found.complete > 1 else "that takes more"
        yield (
            f"T/L and k*/L: no correlation can be given over the {found.complete} of "
            f"{found.points} pairs of model and task with both: {why}."
        )
    else:
        yield (
            f"T/L and k*/L over {found.complete} pairs of model and task with both: Pearson "
            f"{estimate(found.pearson)}, Spearman {estimate(found.spearman)}."
        )
    if found.kendall is not None:
        yield (
            f"Over all {found.points} pairs, undecided ones last and censored ones as far as "
            f"they were seen: Kendall {estimate(found.kendall)}, from the {found.pairs} couples "
            "whose order in k* is known."
        )
    yield from within_tasks(panel.within)
    yield _clusters(found.clusters)


def within_tasks(found: WithinTasks) -> Iterator[str]:
    """The verdict on C8 and what it rests on, and which models and tasks take no part."""
    over = f"over {len(found.models)} models and {len(found.tasks)} tasks"
    if found.correlation is None:
        told = "no task has both T and k* of at least two models, with a difference among them."
    else:
        told = (
            f"Spearman's correlation within tasks is {found.correlation:+.2f} in the mean {over}. It is as low in "
            f"{_share(found.p_falls)} and as high in {_share(found.p_rises)} of the orders in which whole models "
            f"exchange their k*/L; the least possible p is {found.least_p:.2g}."
        )
    yield (
        f"That a later transition goes with a lower critical ratio (claim C8) is {falls(found)}: {told} It is called "
        f"supported where at most {TAIL:.1%} are as low, contradicted where at most {TAIL:.1%} are as high, and "
        f"undecided with fewer than {SHOWN} models."
    )
    if found.without_model:
        yield f"Without T or k* on every task, and so without a part in C8: {', '.join(found.without_model)}."
    if found.without_task:
        lacks = [f"{task} ({', '.join(of) or 'T or k* does not vary'})" for task, of in found.without_task]
        yield f"Tasks that C8 leaves out whole, with the models that have no T or no k* there: {'; '.join(lacks)}."


def _share(p: float) -> str:
    return f"{100 * p:.2g} %"


def falls(found: WithinTasks) -> str:
    """The verdict on C8."""
    return {True: "supported", False: "contradicted", None: "undecided"}[found.falls]


def _clusters(n: int) -> str:
    if n < LEAST_CLUSTERS:
        return (
            f"{n} {'model is' if n == 1 else 'models are'} too few for an interval: the tasks of "
            "one model are not independent of one another."
        )
    few = (
        f"; so few clusters make them too narrow (below about {FEW_CLUSTERS}), so read them as hints"
        if n < FEW_CLUSTERS
        else ""
    )
    return (
        f"Intervals ({PERCENT}) resample the {n} models whole, since the tasks of one model are "
        f"not independent of one another{few}."
    )


def estimate(found: Estimate | None) -> str:
    """A correlation with its interval; nothing where there is none."""
    if found is None:
        return ""
    if math.isnan(found.low):
        return f"{found.point:+.2f}"
    return f"{found.point:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def predicted(ratio: float, low: float, high: float) -> str:
    """A predicted k*/L with its interval."""
    ends = f"[{low:.3f}, {high:.3f}], {INTERVAL}" if math.isfinite(high) else "(no interval: too few cells to fit to)"
    return f"{ratio:.3f} {ends}"


def left_out(rows: tuple[Row, ...]) -> Iterator[str]:
    """Every cell that is not a plain point of a figure, with the reason."""
    for row in rows:
        cell = f"{row.model} on {row.task} by {row.criterion}, seed {row.seed} ({row.panel})"
        if row.reason is not None:
            yield f"{cell}: failed. {row.reason}"
        elif not row.defined:
            yield (
                f"{cell}: no point, since the dense model's accuracy is not shown to lie above "
                "chance; "
                f"{'T = ' + str(row.transition) if row.transition is not None else 'undecided'}."
            )
        elif row.transition is None:
            yield f"{cell}: undecided, so that it has no T; k* {collapse(row)}. It takes part in Kendall's tau alone."
        elif row.collapse is None:
            yield f"{cell}: {collapse(row)}; T = {row.transition}. It takes part in Kendall's tau alone."


def judgement(found: Judgement) -> Iterator[str]:
    """What a rule is worth on models or tasks it has not seen."""
    n = sum(map(math.isfinite, found.high))
    yield (
        (
            f"With one {found.left_out} of {found.groups} left out at a time, the rule forecasts "
            f"k*/L of {found.n} cells with a mean absolute error of {found.error:.3f}"
        )
        + (
            "; with so few cells left to fit to, it gave none of them an interval."
            if found.covered is None
            else f"; {found.covered:.0%} of the {n} with a {INTERVAL} interval lie in it."
        )
    )
    for other in found.against:
        yield _against(other)


def _against(other: BaselineComparison) -> str:
    error = f"error {other.error:.3f}; the rule's minus this {_three(other.difference)}"
    if other.beaten is None:
        return f"It is not shown to beat {other.name}, nor to be beaten by it ({error})."
    return f"It {'beats' if other.beaten else 'is beaten by'} {other.name} ({error})."


def _three(found: Estimate) -> str:
    if math.isnan(found.low):
        return f"{found.point:+.3f}, of too few models for an interval"
    return f"{found.point:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def summary(studied: Studied) -> str:
    """How many cells came to what."""
    rows = studied.rows
    done = [row for row in rows if row.finished]
    points = sum(row.defined and row.transition is not None and row.collapse is not None for row in done)
    undecided = sum(row.transition is None for row in done)
    censored = sum(row.defined and row.collapse is None for row in done)
    chance = sum(not row.defined for row in done)
    return (
        f"{len(rows)} cells: {points} with both T and k*, {undecided} undecided, {censored} "
        f"censored, {chance} without a collapse to speak of "
        f"(no better than chance), {len(rows) - len(done)} failed."
    )
