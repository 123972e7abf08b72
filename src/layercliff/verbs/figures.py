"""Draw a run's figures and page again, from its stored results."""

from pathlib import Path

from layercliff.errors import RunError, nearest
from layercliff.report import figures as drawing
from layercliff.report import page
from layercliff.results import traced


def figures(directory: str | Path, formats: tuple[str, ...] = drawing.FORMATS) -> list[Path]:
    """Write every figure of a run into ``DIR/figures`` as ``png``, ``svg`` and ``pdf``, and its page anew. No model is loaded.

    **Returns** the paths. Raises `RunError` for a directory without results, or an unknown format.
    """
    for kind in formats:
        if kind not in drawing.FORMATS:
            raise RunError(f"There is no figure format {kind!r}: {nearest(kind, list(drawing.FORMATS))}")
    run = traced.open_run(Path(directory))
    found = traced.read(run)
    if found is None:
        raise RunError(
            f"{directory} holds no finished trace: run `layercliff trace` with --out {directory} again; it goes on where it stopped."
        )
    page.write(run)
    return drawing.write(found, run.path / "figures", formats)
