"""The page of a run: one self-contained HTML file that shows whatever the run directory holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from layercliff import cache
from layercliff.report import analyses, claims_table, compare_figures, path_figures, trace_figures, words
from layercliff.report.chart import Figure
from layercliff.results import claimed, compared
from layercliff.results import traced as results
from layercliff.results.pruned import Pruned
from layercliff.results.traced import Traced
from layercliff.store import RunDirectory

PAGE = "report.html"
_later: set[Path] = set()  # directories whose page is written at the end of several results


@contextmanager
def once(run: RunDirectory) -> Iterator[None]:
    """Write the page of a directory once, after all that is done meanwhile and not after each of it."""
    _later.add(run.path)
    try:
        yield
    finally:
        _later.discard(run.path)
    write(run)


def write(run: RunDirectory) -> None:
    """Write ``report.html`` from what the directory holds, unless it will be (`once`). All text is escaped; the page opens without network."""
    if run.path in _later:
        return
    traced = results.read(run)
    found = compared.paths(run)
    content = {
        "title": run.path.name,
        "subject": run.subject(),
        "claims": _claims_section(claims) if (claims := claimed.read(run)) else None,
        "trace": _trace_section(traced) if traced else None,
        "comparison": _comparison(found) if len(found) > 1 else None,
        "paths": [_path_section(path) for path in found],
        "analyses": [
            vars(section) | {"figures": [shown(figure) for figure in section.figures]}
            for section in analyses.sections(run)
        ],
        "library": library(),
    }
    run.write_text(PAGE, template("page.html").render(content))


def _claims_section(found: claimed.Claimed) -> dict[str, Any]:
    return {
        "rows": claims_table.rows(found),
        "summary": claims_table.summary(found),
        "about": found.about,
        "family": found.family,
    }


def template(name: str) -> Template:
    """A page to be filled; all text is escaped."""
    loader = PackageLoader("layercliff", "report")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)


def library() -> Markup:
    """Vega-Embed with all it needs, as one script; bundling takes seconds, so that it is kept in the cache."""
    import vl_convert

    kept = cache.directory() / f"vega-{version('vl-convert-python')}.js"
    if not kept.exists():
        bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]
        with cache.whole_file(kept) as partial:
            partial.write_text(bundle, encoding="utf-8")
    return Markup(kept.read_text(encoding="utf-8"))


def _trace_section(traced: Traced) -> dict[str, Any]:
    drawn = dict(trace_figures.figures(traced))
    rows = results.questions_table(traced.trace).sort("margin").to_dicts()
    return {
        "subject": traced.subject,
        "sections": [
            {
                "name": name,
                "verdict": words.verdict(analysis),
                "phases": words.phases(analysis),
                "figures": [shown(figure) for figure in drawn[name]],
                "analysis": analysis,
                "accuracy": words.interval(analysis, "accuracy"),
                "margin": words.interval(analysis, "margin"),
            }
            for name, analysis in traced.analyses.items()
        ],
        "notices": list(words.notices(traced)),
        "questions": rows,
        "n_layers": traced.trace.n_layers,
        "cost": traced.cost,
        "tasks": traced.trace.tasks,
    }


def shown(figure: Figure) -> dict[str, Any]:
    """A figure as the page draws it."""
    return {
        "name": figure.name,
        "heading": figure.heading,
        "caption": figure.caption,
        "specification": figure.sized("container"),
    }


def _comparison(found: list[Pruned]) -> dict[str, Any]:
    return {
        "figures": [shown(figure) for figure in compare_figures.figures(found)],
        "rows": compared.summary_table(found).to_dicts(),
    }


def _path_section(pruned: Pruned) -> dict[str, Any]:
    rows = []
    for k, step in enumerate(pruned.steps):
        main = pruned.main(k)
        loss = pruned.harmless[k - 1] if k else None
        rows.append(
            {
                "step": k,
                "removed": ", ".join(map(str, step.removed)),
                "accuracy": words.interval(main, "accuracy"),
                "margin": words.interval(main, "margin"),
                "depth": main.transition.depth,
                "loss": f"{100 * loss.loss:+.1f}" if loss else "",
                "upper": f"{100 * loss.upper:+.1f}" if loss else "",
                "shown": loss is not None and loss.shown,
            }
        )
    return {
        "score": pruned.score,
        "recommendation": words.recommendation(pruned),
        "cliff": words.cliff(pruned),
        "stability": words.stability(pruned),
        "race": words.race(pruned),
        "assessment": list(words.assessment(pruned.assessment)) if pruned.assessment else [],
        "completions": pruned.assessment.completions if pruned.assessment else (),
        "caption": pruned.caption(),
        "figures": [shown(figure) for figure in path_figures.figures(pruned)],
        "rows": rows,
        "cost": pruned.cost,
    }
