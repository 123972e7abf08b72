"""The page of a study: every cell in one table, what they say together, and where each is."""

from layercliff.report import page, study_figures, study_words
from layercliff.report.page import PAGE
from layercliff.results.studied import Studied
from layercliff.store import RunDirectory


def write(run: RunDirectory, studied: Studied) -> None:
    """Write ``report.html`` of a study; cells link to the pages of their run directories."""
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
    content = {
        "title": f"study {run.path.name}",
        "summary": study_words.summary(studied),
        "panels": [
            {"name": study_words.name(p), "sentences": list(study_words.association(p))} for p in studied.panels
        ],
        "left_out": list(study_words.left_out(studied.rows)),
        "judgements": [list(study_words.judgement(judgement)) for judgement in studied.judgements],
        "unjudged": studied.unjudged,
        "cells": cells,
        "figures": [page.shown(figure) for figure in study_figures.figures(studied)],
        "library": page.library(),
    }
    run.write_text(PAGE, page.template("study.html").render(content))
