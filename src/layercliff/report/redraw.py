"""Draw a run's figures and page again, from its stored results."""

from pathlib import Path

from layercliff.analyses.trace import figures as trace_figures
from layercliff.analyses.trace import result as traced
from layercliff.comparison import figures as compare_figures
from layercliff.comparison import result as compared
from layercliff.errors import RunError, nearest
from layercliff.pruning import figures as path_figures
from layercliff.report import chart, page
from layercliff.report import sections as analyses
from layercliff.report.chart import Figure
from layercliff.run.directory import RunDirectory
from layercliff.studies import figures as study_figures
from layercliff.studies import page as study_page
from layercliff.studies import result as studied


def figures(directory: str | Path, formats: tuple[str, ...] = chart.FORMATS) -> list[Path]:
    """Write every figure of a run or a study into ``DIR/figures``, and its page anew. No model is loaded.

    Args:
        directory: A run directory, or that of a study.
        formats: Some of ``png``, ``svg`` and ``pdf``.

    Returns:
        Paths of the figures.

    Raises:
        RunError: For a directory without results, or an unknown format; and, when all others are drawn, for results
            that are damaged.
    """
    for kind in formats:
        if kind not in chart.FORMATS:
            raise RunError(f"There is no figure format {kind!r}: {nearest(kind, list(chart.FORMATS))}")
    if studied.is_study(Path(directory)):
        study, found = RunDirectory(Path(directory)), studied.read(Path(directory))
        study_page.write(study, found)
        return chart.write(study_figures.figures(found), study.path / "figures", formats)
    run = traced.open_run(Path(directory))
    drawn: list[Figure] = []
    unread: list[str] = []
    if (trace := compared.readable(traced.read, run, unread)) is not None:
        drawn += [figure for _, figures in trace_figures.figures(trace) for figure in figures]
    paths = compared.paths(run, unread)
    drawn += compare_figures.figures(paths)
    for path in paths:
        drawn += path_figures.figures(path)
    drawn += [figure for section in analyses.sections(run, paths, unread) for figure in section.figures]
    if not drawn and not unread:
        raise RunError(
            f"{directory} holds no finished result: run the same command again with --out "
            f"{directory}; it goes on where it stopped."
        )
    page.write(run)
    written = chart.write(drawn, run.path / "figures", formats)
    if unread:
        raise RunError(unread[0])
    return written
