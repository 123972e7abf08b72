"""The analyses that a run directory holds, as headings, sentences and figures."""

from collections.abc import Iterator
from dataclasses import dataclass

from layercliff.report import ablate_figures, control_figures, noise_figures, patch_figures, similarity_figures
from layercliff.report.chart import Figure
from layercliff.results import ablated, controlled, noised, patched, similar
from layercliff.store import RunDirectory


@dataclass(frozen=True)
class Section:
    """An analysis on the page: `name` is its verb, `table` a heading and rows."""

    name: str
    heading: str
    sentence: str
    figures: tuple[Figure, ...]
    table: tuple[tuple[str, ...], ...] = ()


def sections(run: RunDirectory) -> Iterator[Section]:
    """Every finished analysis."""
    if (beside := controlled.read(run)) is not None:
        yield Section(
            "controls",
            "Controls",
            control_figures.sentence(beside),
            tuple(control_figures.figures(beside)),
            control_figures.table(beside),
        )
    if (noise := noised.read(run)) is not None:
        yield Section(
            "noise", "Noise at every depth", noise_figures.sentence(noise), tuple(noise_figures.figures(noise))
        )
    if (gone := ablated.read(run)) is not None:
        yield Section(
            "ablate", "Blocks and pairs taken out", ablate_figures.sentence(gone), tuple(ablate_figures.figures(gone))
        )
    if (alike := similar.read(run)) is not None:
        yield Section(
            "similarity",
            "Similarity of dense and pruned models",
            similarity_figures.sentence(alike),
            tuple(similarity_figures.figures(alike)),
        )
    if (exchanged := patched.read(run)) is not None:
        yield Section(
            "patch",
            "States exchanged with pruned models",
            patch_figures.sentence(exchanged),
            tuple(patch_figures.figures(exchanged)),
        )
