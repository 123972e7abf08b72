"""Marks under the pointer say where they are, their value, its interval and how many questions it is of."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import made
import pytest

import layercliff
from layercliff.analyses.ablate import figures as ablate_figures
from layercliff.analyses.controls import figures as control_figures
from layercliff.analyses.forecast import figures as forecast_figures
from layercliff.analyses.lens import figures as lens_figures
from layercliff.analyses.noise import figures as noise_figures
from layercliff.analyses.patch import figures as patch_figures
from layercliff.analyses.recover import figures as recover_figures
from layercliff.analyses.similarity import figures as similarity_figures
from layercliff.analyses.trace import figures as trace_figures
from layercliff.comparison import figures as compare_figures
from layercliff.pruning import figures as path_figures
from layercliff.report.chart import Figure
from layercliff.studies import figures as study_figures

WHERE = ("depth", "dense", "index", "step", "removed", "block", "blocks", "interval", "transition")
COUNTED = ("n", "paragraphs")
SOURCE = Path(layercliff.__file__).parent


FIGURES: dict[ModuleType, Iterable[Figure]] = {
    trace_figures: [figure for _, some in trace_figures.figures(made.traced()) for figure in some],
    path_figures: path_figures.figures(made.pruned()),
    compare_figures: compare_figures.figures([made.pruned(), made.pruned("tail")]),
    noise_figures: noise_figures.figures(made.noised()),
    ablate_figures: ablate_figures.figures(made.ablated()),
    patch_figures: patch_figures.figures(made.patched()),
    lens_figures: lens_figures.figures(made.lensed()),
    control_figures: control_figures.figures(made.beside()),
    similarity_figures: similarity_figures.figures(made.similar()),
    recover_figures: recover_figures.figures(made.recovered()),
    forecast_figures: forecast_figures.figures(made.forecast()),
    study_figures: study_figures.figures(made.study()),
}
OF = {module.__file__: {figure.name: figure.sized(600) for figure in some} for module, some in FIGURES.items()}
DRAWN = {name: specification for some in OF.values() for name, specification in some.items()}


def layers(part: dict[str, Any], above: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The marks of a specification with what they inherit."""
    here = above | {name: part[name] for name in ("data",) if name in part}
    here["encoding"] = above.get("encoding", {}) | part.get("encoding", {})
    if "layer" not in part:
        yield here | {"mark": part["mark"]}
    for inner in part.get("layer", ()):
        yield from layers(inner, here)


def value_of(mark: dict[str, Any]) -> str:
    """The column that a mark shows: by its colour on a map, by its height elsewhere."""
    field: str = mark["encoding"].get("color" if mark["mark"]["type"] == "rect" else "y", {}).get("field", "")
    return "share" if field == "y" else field  # the place in a radar plot


@pytest.mark.parametrize("name", DRAWN)
def test_marks_say_where_what_and_of_how_many(name: str) -> None:
    specification = DRAWN[name]
    marks = list(layers(specification, {}))
    told = [mark for mark in marks if "tooltip" in mark["encoding"]]
    assert told
    assert [m for m in marks if m["mark"]["type"] in ("point", "bar") and "tooltip" not in m["encoding"]] == []
    for mark in told:
        columns = {column for row in specification["datasets"][mark["data"]["name"]] for column in row}
        hover = [entry["field"] for entry in mark["encoding"]["tooltip"]]
        titles = [entry.get("title", entry["field"]) for entry in mark["encoding"]["tooltip"]]
        assert len(set(titles)) == len(titles)  # two of a name would be shown as one
        assert set(hover) <= columns
        assert set(hover) & set(WHERE)
        assert set(hover) & set(COUNTED)
        assert "written by" in hover or not set(hover) & {"depth", "dense"}
        value = value_of(mark)
        if value not in ("", "dense", "step"):  # one colour for what has none; the places of dots and rings on maps
            assert value in hover
        assert {f"{value}_{end}" for end in ("low", "high")} & columns <= set(hover)


def test_every_figure_is_looked_at() -> None:
    """The figures of every folder of the package."""
    assert {file for file, some in OF.items() if some} == {str(path) for path in SOURCE.rglob("figures.py")}
