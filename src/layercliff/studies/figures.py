"""The figures of a study: transition against critical ratio, and forecasts against measurements."""

from collections.abc import Iterator, Sequence

import altair as alt
import polars as pl

from layercliff.analyses.forecast.result import TARGET
from layercliff.report.chart import INK, Chart, Figure
from layercliff.report.depth_chart import counted, legend
from layercliff.studies import result as studied
from layercliff.studies import words as study_words
from layercliff.studies.result import Panel, Point, Row, Studied

HEIGHT = 380
FORECAST = "forecast-"  # what the names of a rule's figures begin with
UNDECIDED = 1.12  # where undecided models stand on the axis of T/L
RATIO = alt.Scale(domain=[0, 1.02])
LABEL = (0.12, 0.04)  # the room of a point's label on either axis


def figures(found: Studied) -> Iterator[Figure]:
    """One per format and criterion, then one per way of leaving out."""
    for panel in found.panels:
        if panel.points:
            heading = f"Transition against critical ratio: {study_words.name(panel)}"
            caption = " ".join(study_words.association(panel))
            yield Figure(
                name_of(panel),
                heading,
                f"{caption} One point per model and task, the median over seeds.",
                _points(panel, found.rows),
                HEIGHT,
            )
    fitted_to, table = studied.fitted_to(found.rows), studied.training(found.rows)
    for judgement in found.judgements:
        ends = zip(judgement.predicted, judgement.low, judgement.high, strict=True)
        shown = table.with_columns(
            pl.Series("forecast", judgement.predicted),
            pl.Series("interval", [study_words.predicted(*one) for one in ends]),
            pl.Series("k*", [study_words.collapse(row) for row in fitted_to]),
            pl.Series("n", [row.n_report for row in fitted_to], pl.Int64),
        )
        caption = " ".join(study_words.judgement(judgement))
        yield Figure(
            f"{FORECAST}{judgement.left_out}",
            f"Forecast with the {judgement.left_out} left out",
            caption,
            _forecast(shown),
            HEIGHT,
        )


def name_of(panel: Panel) -> str:
    """The name of a panel's figure."""
    return f"transition-collapse-{panel.format}-{panel.criterion}".replace("+", "-ends")


def _points(panel: Panel, rows: Sequence[Row]) -> Chart:
    decided = [point.transition <= 1 for point in panel.points]
    cells = [_cells(panel, point, rows) for point in panel.points]
    table = pl.DataFrame(
        {
            "model": [p.model for p in panel.points],
            "task": [p.task for p in panel.points],
            "label": [f"{p.model} · {p.task}" for p in panel.points],
            "transition": [p.transition if d else UNDECIDED for p, d in zip(panel.points, decided, strict=True)],
            "ratio": [p.ratio for p in panel.points],
            "kind": [_kind(d, p.censored) for p, d in zip(panel.points, decided, strict=True)],
            "seeds": [p.seeds for p in panel.points],
            "T": ["; ".join(map(study_words.transition, own)) for own in cells],
            "k*": ["; ".join(map(study_words.collapse, own)) for own in cells],
            "L": [own[0].n_layers for own in cells],
            "n": [own[0].n_questions for own in cells],
        }
    )
    table = table.with_columns(written=pl.Series(_apart(table["transition"].to_list(), table["ratio"].to_list())))
    ticks = alt.Axis(
        labelExpr="datum.value > 1 ? 'undecided' : format(datum.value, '.1f')",
        values=[0, 0.2, 0.4, 0.6, 0.8, 1, UNDECIDED],
        labelOverlap=False,
    )
    kinds = ["both known", "censored: k* lies above", "undecided", "undecided and censored"]
    pick = alt.selection_point(fields=["model"], bind="legend")
    base = alt.Chart(table).encode(
        x=alt.X(
            "transition:Q", title="T / L, transition depth over depth", scale=alt.Scale(domain=[0, 1.16]), axis=ticks
        ),
        y=alt.Y("ratio:Q", title="k* / L, critical ratio", scale=RATIO),
        color=alt.Color("model:N", title=None, scale=alt.Scale(scheme="tableau10"), legend=legend("bottom")),
        opacity=alt.condition(pick, alt.value(1.0), alt.value(0.12)),
    )
    hover = [
        alt.Tooltip("model:N"),
        alt.Tooltip("task:N"),
        alt.Tooltip("transition:Q", format=".3f"),
        alt.Tooltip("ratio:Q", format=".3f"),
        alt.Tooltip("kind:N"),
        alt.Tooltip("T:N"),
        alt.Tooltip("k*:N"),
        alt.Tooltip("L:Q", title="blocks"),
        counted(),
        alt.Tooltip("seeds:Q"),
    ]
    shape = alt.Shape(
        "kind:N",
        title=None,
        scale=alt.Scale(domain=kinds, range=["circle", "triangle-up", "square", "diamond"]),
        legend=legend("bottom"),
    )
    marks = base.mark_point(filled=True, size=80).encode(shape=shape, tooltip=hover).add_params(pick)
    names = base.mark_text(align="right", dx=-7, dy=-6, fontSize=10).encode(
        text=alt.Text("task:N"), y=alt.Y("written:Q", scale=RATIO)
    )
    return alt.layer(marks, names)


def _apart(across: Sequence[float], up: Sequence[float]) -> list[float]:
    """How high each point's label stands, so that none covers another: beside its point, or as far from there as it
    must, towards the middle."""
    placed: list[tuple[float, float]] = []
    for x, y in zip(across, up, strict=True):
        at, step = y, LABEL[1] if y < 0.5 else -LABEL[1]
        while any(abs(x - there) < LABEL[0] and abs(at - high) < LABEL[1] * 0.99 for there, high in placed):
            at += step
        placed.append((x, at))
    return [high for _, high in placed]


def _cells(panel: Panel, point: Point, rows: Sequence[Row]) -> list[Row]:
    """The cells that a point is the median of, one per seed."""
    own = (panel.format, panel.criterion, point.model, point.task)
    return [row for row in rows if (row.panel, row.criterion, row.model, row.task) == own and row.place is not None]


def _kind(decided: bool, censored: bool) -> str:
    if decided:
        return "censored: k* lies above" if censored else "both known"
    return "undecided and censored" if censored else "undecided"


def _forecast(table: pl.DataFrame) -> Chart:
    line = (
        alt.Chart(pl.DataFrame({"at": [0.0, 1.0]}))
        .mark_line(strokeDash=[5, 4], color=INK)
        .encode(x=alt.X("at:Q"), y=alt.Y("at:Q"))
    )
    points = (
        alt.Chart(table)
        .mark_point(filled=True, size=80)
        .encode(
            x=alt.X("forecast:Q", title="k*/L forecast", scale=alt.Scale(domain=[0, 1])),
            y=alt.Y(f"{TARGET}:Q", title="k*/L measured", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("model:N", title=None, legend=legend("bottom")),
            tooltip=[
                alt.Tooltip("model:N"),
                alt.Tooltip("task:N"),
                alt.Tooltip("seed:Q"),
                alt.Tooltip("n_layers:Q", title="blocks"),
                counted("questions reported on"),
                alt.Tooltip("interval:N", title="k*/L forecast"),
                alt.Tooltip(f"{TARGET}:Q", title="k*/L measured", format=".3f"),
                alt.Tooltip("k*:N"),
            ],
        )
    )
    return alt.layer(line, points)
