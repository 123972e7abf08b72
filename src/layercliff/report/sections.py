"""The analyses that a run directory holds, as headings, sentences and figures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from layercliff.analyses.ablate import figures as ablate_figures
from layercliff.analyses.ablate import result as ablated
from layercliff.analyses.controls import figures as control_figures
from layercliff.analyses.controls import result as controlled
from layercliff.analyses.intervention_result import Probed
from layercliff.analyses.lens import figures as lens_figures
from layercliff.analyses.lens import result as lensed
from layercliff.analyses.noise import figures as noise_figures
from layercliff.analyses.noise import result as noised
from layercliff.analyses.patch import figures as patch_figures
from layercliff.analyses.patch import result as patched
from layercliff.analyses.similarity import figures as similarity_figures
from layercliff.analyses.similarity import result as similar
from layercliff.analyses.similarity.result import Similar
from layercliff.comparison.result import Found, readable
from layercliff.forecasting import figures as foretell_figures
from layercliff.forecasting import result as foretold
from layercliff.pruning.result import Pruned
from layercliff.recovery import figures as recover_figures
from layercliff.recovery import result as recovered
from layercliff.recovery.result import Recovered
from layercliff.report.chart import Figure
from layercliff.run.directory import RunDirectory
from layercliff.studies import words as study_words

Current = TypeVar("Current", Similar, Probed, Recovered)


@dataclass(frozen=True)
class Section:
    """An analysis on the page: `name` is its verb, `table` a heading and rows."""

    name: str
    heading: str
    sentence: str
    figures: tuple[Figure, ...]
    table: tuple[tuple[str, ...], ...] = ()


def sections(run: RunDirectory, paths: Sequence[Pruned], unread: list[str]) -> Iterator[Section]:
    """Every finished analysis but for damaged ones (`readable`); those that look at steps of a path only where they are among the steps of `paths`, which may have
    been replaced since."""

    def known(read: Callable[[RunDirectory], Found | None]) -> Found | None:
        return readable(read, run, unread)

    def current(found: Current | None) -> Current | None:
        return found if found is not None and any(path.holds(found.about) for path in paths) else None

    if (told := known(foretold.read)) is not None:
        yield Section(
            "foretell", "The collapse, foretold", study_words.foretelling(told), tuple(foretell_figures.figures(told))
        )
    if (beside := known(controlled.read)) is not None:
        yield Section(
            "controls",
            "Controls",
            control_figures.sentence(beside),
            tuple(control_figures.figures(beside)),
            control_figures.table(beside),
        )
    if (read := known(lensed.read)) is not None:
        yield Section("lens", "Lenses", lens_figures.sentence(read), tuple(lens_figures.figures(read)))
    if (noise := known(noised.read)) is not None:
        yield Section(
            "noise", "Noise at every depth", noise_figures.sentence(noise), tuple(noise_figures.figures(noise))
        )
    if (gone := known(ablated.read)) is not None:
        yield Section(
            "ablate", "Blocks and pairs taken out", ablate_figures.sentence(gone), tuple(ablate_figures.figures(gone))
        )
    if (alike := current(known(similar.read))) is not None:
        yield Section(
            "similarity",
            "Similarity of dense and pruned models",
            similarity_figures.sentence(alike),
            tuple(similarity_figures.figures(alike)),
        )
    if (exchanged := current(known(patched.read))) is not None:
        yield Section(
            "patch",
            "States exchanged with pruned models",
            patch_figures.sentence(exchanged),
            tuple(patch_figures.figures(exchanged)),
        )
    if (trained := current(known(recovered.read))) is not None:
        yield Section(
            "recover",
            "Pruned models after training",
            recover_figures.sentence(trained),
            tuple(recover_figures.figures(trained)),
        )
