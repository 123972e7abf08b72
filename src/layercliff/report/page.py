"""The page of a run: one self-contained HTML file that shows whatever the run directory holds."""

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from layercliff import cache
from layercliff.analyses.trace import figures as trace_figures
from layercliff.analyses.trace import result as results
from layercliff.analyses.trace import tables as trace_tables
from layercliff.analyses.trace.result import Traced
from layercliff.comparison import figures as compare_figures
from layercliff.comparison import result as compared
from layercliff.comparison.result import readable
from layercliff.output import json_of, printable
from layercliff.paper_claims import result as claimed
from layercliff.paper_claims import table as claims_table
from layercliff.pruning import figures as path_figures
from layercliff.pruning.result import Pruned
from layercliff.readout.trace import Trace
from layercliff.report import question_figures, words
from layercliff.report import sections as analyses
from layercliff.report.chart import Figure
from layercliff.report.sections import Section
from layercliff.run import stored_files
from layercliff.run.directory import RunDirectory

PAGE = "report.html"
READ, SIZED = {".json", ".yaml"}, {".parquet", ".safetensors"}
"""The kinds of files that results are in: of those with numbers only the sizes are looked at, for summaries hold their
checksums."""


def write(run: RunDirectory) -> None:
    """Write ``report.html`` from what the directory holds. All text is escaped; the page
    opens without network. What is damaged is named on the page, which shows the rest."""
    unread: list[str] = []
    made_of = _made_of(run)  # before anything is read: what is written meanwhile makes the page an old one
    traced, claims = readable(results.read, run, unread), readable(claimed.read, run, unread)
    found = compared.paths(run, unread)
    dense = question_figures.asked(traced, found)
    probes = list(analyses.sections(run, found, unread))
    content: dict[str, Any] = {
        "unread": unread,
        "title": run.path.name,
        "made_of": made_of,
        "subject": run.subject(),
        "claims": _claims_section(claims) if claims else None,
        "answers": list(_answers(traced, found, probes)),
        "trace": _trace_section(traced) if traced else None,
        "comparison": _comparison(found) if len(found) > 1 else None,
        "paths": [_path_section(path) for path in found],
        "analyses": [_analysis_section(section) for section in probes],
        "questions": _questions_section(dense, found) if dense else None,
    }
    sections = [*(content["trace"] or {"sections": []})["sections"], *content["paths"], *content["analyses"]]
    sections += [content["comparison"]] if content["comparison"] else []
    figures = [figure for section in sections for figure in section["figures"]]
    run.write_text(PAGE, render("page.html", content | {"contents": _contents(content)}, figures))


def is_current(run: RunDirectory) -> bool:
    """Whether the page is there, made of the results that the directory holds now. Times of files say nothing: copies
    and clocks change them."""
    page = run.path / PAGE
    return page.exists() and f'content="{_made_of(run)}"' in page.read_text(encoding="utf-8")


def _made_of(run: RunDirectory) -> str:
    """A digest of the files of results in a directory, and of its name."""
    digest = hashlib.sha256(run.path.name.encode())
    for file in sorted(file for file in run.path.rglob("*") if file.suffix in READ | SIZED):
        content = file.read_bytes() if file.suffix in READ else str(file.stat().st_size).encode()
        digest.update(f"{file.relative_to(run.path)} {hashlib.sha256(content).hexdigest()} ".encode())
    return digest.hexdigest()


def render(name: str, content: dict[str, Any], figures: Iterable[dict[str, Any]]) -> str:
    """A page with its `figures` (as `shown` makes them), which its content refers to."""
    drawn = {figure["name"]: figure["specification"] for figure in figures}
    return template(name).render(content | {"figures": drawn, "library": library()})


def _contents(content: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The table of contents: groups of (anchor, text); a group of one needs no name."""
    parts: list[tuple[str, list[tuple[str, str]]]] = []
    if content["claims"] or content["answers"]:
        parts.append(("Verdicts", [("verdicts", "")]))
    if content["trace"]:
        parts.append(
            ("Where the decision forms", [(f"trace-{s['name']}", s["title"]) for s in content["trace"]["sections"]])
        )
    compare = [("compare", "criteria compared")] if content["comparison"] else []
    parts.append(
        (
            "Pruned",
            [*compare, *((f"prune-{path['criterion']}", f"by {path['criterion']}") for path in content["paths"])],
        )
    )
    parts.append(("Analyses", [(f"analysis-{section['name']}", section["heading"]) for section in content["analyses"]]))
    parts.append(("Questions", [("questions", "")] if content["questions"] else []))
    parts.append(("How this was made", [("made", "")] if content["trace"] else []))
    return [(label, links) for label, links in parts if links]


def _answers(
    traced: Traced | None, paths: Sequence[Pruned], probes: Sequence[Section]
) -> Iterator[tuple[str, str, str]]:
    """What was asked, the section that shows it, and the answer: where the decision forms, what can go, where the
    cliff is, what analyses found."""
    for name, analysis in traced.analyses.items() if traced else ():
        yield f"Where does the decision form: {_title(name)}?", f"trace-{name}", words.verdict(analysis)
    for path in paths:
        anchor = f"prune-{path.criterion_name}"
        yield f"Which blocks can go, by {path.criterion_name}?", anchor, words.recommendation(path)
        yield f"Where is the cliff, by {path.criterion_name}?", anchor, words.cliff(path)
    for section in probes:
        yield section.heading, f"analysis-{section.name}", section.sentence


def _title(name: str) -> str:
    """A task's name, or that of all together."""
    return "all tasks together" if name == "joint" else name


def _analysis_section(section: Section) -> dict[str, Any]:
    parts = {name: getattr(section, name) for name in ("name", "heading", "sentence", "table")}
    return parts | {"figures": [shown(figure) for figure in section.figures]}


def _claims_section(found: claimed.Claimed) -> dict[str, Any]:
    return {
        "rows": claims_table.rows(found),
        "summary": claims_table.summary(found),
        "about": found.about,
        "family": found.family,
    }


@functools.cache
def template(name: str) -> Template:
    """A page to be filled; all text is escaped."""
    loader = PackageLoader("layercliff", "report")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.policies["json.dumps_function"] = json_of
    return environment.get_template(name)


def _printable(value: object) -> object:
    """What a page shows of a value: text without control characters, and markup of our own as it is."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def library() -> Markup:
    """Vega-Embed with all it needs, as one script; bundling takes seconds, so that it is kept in the cache."""
    import vl_convert

    kept = cache.directory() / f"vega-{version('vl-convert-python')}.js"
    if not kept.exists():
        bundle: str = vl_convert.javascript_bundle()  # type: ignore[call-arg]
        stored_files.write_text(kept, bundle)
    return Markup(kept.read_text(encoding="utf-8"))


def _trace_section(traced: Traced) -> dict[str, Any]:
    drawn = dict(trace_figures.figures(traced))
    return {
        "subject": traced.subject,
        "sections": [
            {
                "name": name,
                "title": _title(name),
                "verdict": words.verdict(analysis),
                "phases": words.phases(analysis),
                "boundaries": words.boundaries(analysis),
                "normalised": words.normalised(analysis),
                "bias": words.prediction_bias(analysis),
                "figures": [shown(figure) for figure in drawn[name]],
                "analysis": analysis,
                "accuracy": words.interval(analysis, "accuracy"),
                "margin": words.interval(analysis, "margin"),
            }
            for name, analysis in traced.analyses.items()
        ],
        "notices": list(words.notices(traced)),
        "cost": traced.cost,
        "tasks": traced.trace.tasks,
    }


def _questions_section(dense: Trace, paths: Sequence[Pruned]) -> dict[str, Any]:
    rows = trace_tables.questions_table(dense).with_row_index("number").sort("margin")
    return {"rows": rows.to_dicts(), "data": question_figures.content(dense, paths)}


def shown(figure: Figure) -> dict[str, Any]:
    """A figure as the page draws it."""
    return {
        "name": figure.name,
        "heading": figure.heading,
        "caption": figure.caption,
        "specification": _compact(figure.sized("container")),
    }


def _compact(specification: dict[str, Any]) -> dict[str, Any]:
    """A specification without the columns that it does not name, and with five digits of every number, which makes the
    page a fifth smaller."""
    named = json.dumps({name: part for name, part in specification.items() if name != "datasets"})
    tables = {
        name: [{column: value for column, value in row.items() if column in named} for row in table]
        for name, table in specification["datasets"].items()
    }
    found: dict[str, Any] = json.loads(
        json.dumps(specification | {"datasets": tables}), parse_float=lambda number: float(f"{float(number):.5g}")
    )
    return found


def _comparison(found: Sequence[Pruned]) -> dict[str, Any]:
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
        "criterion": pruned.criterion_name,
        "recommendation": words.recommendation(pruned),
        "cliff": words.cliff(pruned),
        "along": words.along(pruned),
        "few": words.few_questions(pruned.main(0)),
        "stability": words.stability(pruned),
        "race": words.race(pruned),
        "stay": pruned.stay,
        "assessment": list(words.assessment(pruned.assessment)) if pruned.assessment else [],
        "completions": pruned.assessment.completions if pruned.assessment else (),
        "caption": pruned.caption(),
        "figures": [shown(figure) for figure in path_figures.figures(pruned)],
        "rows": rows,
        "cost": pruned.cost,
    }
