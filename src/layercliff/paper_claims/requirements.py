"""What a claim needs before it can be judged. Each function gives the reason in words where it is missing."""

from layercliff.metrics.collapse import Collapse
from layercliff.metrics.phases import Transition
from layercliff.paper_claims.intervals import FEWEST

SHORTEST = 3  # blocks of a phase


def few(groups: int, n: int) -> str | None:
    """Too few questions."""
    if groups >= FEWEST:
        return None
    return (
        f"{n} questions in {groups} independent groups are not enough data: at least {FEWEST} groups are needed before "
        "an interval means anything."
    )


def no_transition(found: Transition) -> str | None:
    """No transition depth, or one that is not shown."""
    if found.depth is None:
        return "The model is undecided on this task: it has no transition depth, and so neither phase."
    if not found.shown:
        return f"The model is not shown to decide on this task: {found.undecided_share:.0%} of resamples are undecided."
    return None


def short_phase(depth: int, n_layers: int) -> str | None:
    """A phase of too few blocks before or after the transition depth."""
    for name, blocks in (("Silent", depth), ("Decisive", n_layers - depth)):
        if blocks < SHORTEST:
            phase = f"The {name} Phase has {blocks} {'block' if blocks == 1 else 'blocks'} of {n_layers}"
            return f"{phase}, and the claim needs {SHORTEST}."
    return None


def no_collapse(found: Collapse, gone: int, n_layers: int, limited: bool) -> str | None:
    """No collapse on a path of `gone` removed blocks.

    The path is `limited` if it ends where it was told to, not where no other block can go.
    """
    if not found.defined:
        return (
            "The dense model is not shown to be above chance on the questions reported on, so that no collapse is "
            "defined."
        )
    if found.step is None:
        further = "walk it further with `layercliff prune`" if limited else "no other block can go"
        return f"The path does not collapse within {gone} removed blocks of {n_layers} (censored): {further}."
    return None
