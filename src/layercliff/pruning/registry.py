"""Every criterion by name, and what makes its chooser; `catalogue` says them in words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from layercliff.choices import Score
from layercliff.errors import RunError
from layercliff.pruning import ranked
from layercliff.pruning.brief import Brief
from layercliff.pruning.come import CoMe
from layercliff.pruning.iterative import Iterative
from layercliff.pruning.laco import LaCo
from layercliff.pruning.measure import OnTask
from layercliff.pruning.mka import MKA
from layercliff.pruning.ranked import Contiguous, Ranked
from layercliff.pruning.step import Chooser

FIRST, LAST = 4, 2  # blocks at the ends that Shortened LLaMA leaves alone


def _on_tasks(score: Score) -> Callable[[Brief], Chooser]:
    return lambda brief: Iterative(brief, [OnTask(part, score) for part in brief.asked])


def _on_text(brief: Brief) -> Chooser:
    return Iterative(brief, brief.passages)


def _rank(ranking: ranked.Ranking) -> Callable[[Brief], Chooser]:
    return lambda brief: Ranked(brief, ranking)


def _ends(make: Callable[[Brief], Chooser]) -> Callable[[Brief], Chooser]:
    """The same with the first four and the last two blocks protected."""

    def made(brief: Brief) -> Chooser:
        n = brief.model.n_layers
        if n <= FIRST + LAST:
            raise RunError(
                f"A criterion with + leaves the first {FIRST} and last {LAST} blocks alone, and the model has {n}: use it without the +."
            )
        ends = {*range(FIRST), *range(n - LAST, n)}
        return make(replace(brief, protected=tuple(sorted(ends | set(brief.protected)))))

    return made


MAKERS: Mapping[Score, Callable[[Brief], Chooser]] = {
    "margin": _on_tasks("margin"),
    "accuracy": _on_tasks("accuracy"),
    "option_nll": _on_tasks("option_nll"),
    "loss": _on_text,
    "tail": _rank(ranked.tail),
    "head": _rank(ranked.head),
    "random": _rank(ranked.random),
    "block_influence": _rank(ranked.block_influence),
    "angular": Contiguous,
    "perplexity": _rank(ranked.perplexity),
    "perplexity+": _ends(_rank(ranked.perplexity)),
    "taylor": _rank(ranked.taylor),
    "taylor+": _ends(_rank(ranked.taylor)),
    "magnitude": _rank(ranked.magnitude),
    "magnitude+": _ends(_rank(ranked.magnitude)),
    "laco": LaCo,
    "mka": MKA,
    "come": CoMe,
}


def chooser(score: Score, brief: Brief) -> Chooser:
    """What chooses the steps of a path by `score`."""
    return MAKERS[score](brief)


def random_draw(brief: Brief, draw: int, within: Sequence[int] | None) -> Chooser:
    """One of many random paths."""
    return Ranked(brief, partial(ranked.random, draw=draw, within=within))
