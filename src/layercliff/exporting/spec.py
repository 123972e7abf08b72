"""What `layercliff.export` is told."""

from dataclasses import dataclass
from pathlib import Path

from layercliff.choices import At
from layercliff.run.spec import Loading, option


@dataclass(frozen=True)
class ExportSpec(Loading):
    """A step of a path, and where its checkpoint goes."""

    run: str | Path = option(positional=True, kind=Path, help="A run directory that holds a path.")
    to: str | Path | None = option(
        positional=True, kind=Path | None, shown=None, help="The checkpoint to write: a new directory."
    )
    step: int | At | None = option(None, kind=int | None, help="A step of the path; 0 is the dense model.")
    criterion: str | None = option(
        None, old=("score",), help="The path's criterion, where the directory holds several paths."
    )
    trained: int | None = option(None, help="With the weights that `layercliff recover` trained by this seed.")
    recipes: bool = option(
        False,
        names=("--recipe",),
        help="Say how mergekit and llama.cpp make it; loads no weights.",
    )
