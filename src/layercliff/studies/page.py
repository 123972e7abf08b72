"""The page of a study: every cell in one table, what they say together, and where each is."""

from layercliff.report import page
from layercliff.report.page import PAGE
from layercliff.run.directory import RunDirectory
from layercliff.studies import figures as study_figures
from layercliff.studies import words as study_words
from layercliff.studies.result import Panel, Studied

CONTENTS = [
    (label, [(anchor, "")])
    for anchor, label in (
        ("verdicts", "Verdicts"),
        ("together", "What cells say together"),
        ("cells", "Cells"),
        ("left-out", "What is not a plain point"),
        ("forecast", "Forecasts of the collapse"),
    )
]


def write(run: RunDirectory, studied: Studied) -> None:
    """Write ``report.html`` of a study. Cells link to the pages of their run directories."""
    cells = [
        {
            "row": row,
            "page": f"{row.directory}/{PAGE}" if row.finished else None,
            "transition": study_words.transition(row),
            "collapse": study_words.collapse(row),
            "shares": (
                None if row.transition is None or not row.n_layers else row.transition / row.n_layers,
                row.ratio,
            ),
        }
        for row in studied.rows
    ]
    drawn = {figure.name: page.shown(figure) for figure in study_figures.figures(studied)}
    content = {
        "title": f"study {run.path.name}",
        "contents": CONTENTS,
        "summary": study_words.summary(studied),
        "verdicts": [_verdict(panel) for panel in studied.panels],
        "panels": [
            {
                "name": study_words.name(panel),
                "sentences": list(study_words.association(panel)),
                "figure": drawn.get(study_figures.name_of(panel)),
            }
            for panel in studied.panels
        ],
        "left_out": list(study_words.left_out(studied.rows)),
        "judgements": [figure for name, figure in drawn.items() if name.startswith(study_figures.FORECAST)],
        "unjudged": studied.unjudged,
        "cells": cells,
    }
    run.write_text(PAGE, page.render("study.html", content, drawn.values()))


def _verdict(panel: Panel) -> dict[str, str | int]:
    """A panel's row of the table of verdicts."""
    found = panel.association
    return {
        "name": study_words.name(panel),
        "verdict": study_words.falls(panel.within),
        "complete": found.complete,
        "points": found.points,
        **{
            name: study_words.estimate(value)
            for name in ("pearson", "spearman", "kendall")
            for value in (getattr(found, name),)
        },
    }
