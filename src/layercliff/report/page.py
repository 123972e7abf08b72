"""The page of a run: one self-contained HTML file that shows whatever the run directory holds."""

from importlib.metadata import version
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from layercliff import cache
from layercliff.report import figures, words
from layercliff.results import traced as results
from layercliff.results.traced import Traced
from layercliff.store import RunDirectory

PAGE = "report.html"


def write(run: RunDirectory) -> None:
    """Write ``report.html`` from what the directory holds. All text is escaped; the page opens without network."""
    traced = results.read(run)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((files(__package__) / "page.html").read_text(encoding="utf-8"))
    run.write_text(
        PAGE,
        template.render(
            title=str(run.path.name), trace=_trace_section(traced) if traced else None, library=Markup(_library())
        ),
    )


def _library() -> str:
    """Vega-Embed with all it needs, as one script; bundling takes seconds, so that it is kept in the cache."""
    import vl_convert

    kept = cache.directory() / f"vega-{version('vl-convert-python')}.js"
    if not kept.exists():
        bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]
        with cache.whole_file(kept) as partial:
            partial.write_text(bundle, encoding="utf-8")
    return kept.read_text(encoding="utf-8")


def _trace_section(traced: Traced) -> dict[str, Any]:
    drawn = dict(figures.figures(traced))
    rows = results.questions_table(traced.trace).sort("margin").to_dicts()
    return {
        "subject": traced.subject,
        "sections": [
            {
                "name": name,
                "verdict": words.verdict(analysis),
                "phases": words.phases(analysis),
                "figures": [
                    {"name": f.name, "heading": f.heading, "caption": f.caption, "specification": f.sized("container")}
                    for f in drawn[name]
                ],
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
