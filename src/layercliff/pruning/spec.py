"""What `layercliff.prune` is told."""

from collections.abc import Sequence
from dataclasses import dataclass

from layercliff.run import parsing
from layercliff.run.spec import AnalysisSpec, Memory, PathLength, TaskLike, option

CRITERION = "What blocks are chosen by (see `layercliff criteria`)."


@dataclass(frozen=True, kw_only=True)
class PathSpec(Memory, PathLength, AnalysisSpec):
    """How paths of pruned models are made."""

    protect: Sequence[int] = option(
        (), kind=str, read=parsing.protected, shown="", limit="block", help="Blocks that stay, e.g. 0,1."
    )
    watch: TaskLike = option("", kind=str, help="Tasks measured along the path that take no part in the choice.")
    splits: int = option(1, help="Repeat the path over so many draws of the two halves.")
    race: float | None = option(
        None,
        help="Drop surely worse candidates early; the probability of another choice over the path, e.g. 0.05.",
        study=True,
    )
    text: str | None = option(
        None,
        help="Text for criteria that read text: FILE.txt, .jsonl, .parquet, hub:OWNER/NAME/PATH.parquet, prose or "
        "boolq. Default: the tasks' questions with answers.",
    )
    draws: int = option(20, help="Paths of the criterion random.")
    within: Sequence[int] | None = option(
        None,
        kind=str,
        read=parsing.within,
        shown="",
        limit="block",
        help="Blocks that the criterion random removes first, e.g. 0-11.",
    )


@dataclass(frozen=True)
class PruneSpec(PathSpec):
    """What `layercliff.prune` is told."""

    criterion: str = option("margin", old=("score",), metavar="CRITERION", help=CRITERION)
    assess: bool = option(
        True,
        names=("--assess/--no-assess",),
        help="Measure size, speed and text of the recommended step.",
    )
