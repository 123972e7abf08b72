"""Whether a path that a run directory holds is the one that is wanted."""

from collections.abc import Mapping, Sequence
from typing import Any

from layercliff.errors import RunError
from layercliff.pruning import result as results
from layercliff.pruning.criterion import Criterion
from layercliff.pruning.path import last_step
from layercliff.pruning.result import Pruned
from layercliff.pruning.spec import PruneSpec
from layercliff.run.directory import RunDirectory
from layercliff.run.subject import said
from layercliff.tasks import text as texts

LENGTH = {"remove", "to_ratio", "assess"}
"""Settings by which a longer path with an assessment can serve for a shorter one."""
CHOICE = ("protect", "text", "within", "race")
"""Settings that decide which blocks go."""


def settings(
    spec: PruneSpec, criterion: Criterion, watched: Sequence[str], passages: Sequence[str] | None
) -> dict[str, Any]:
    """What a path is told, as it is stored. `watched`: the watched tasks with their digests."""
    return {
        "remove": spec.remove,
        "to_ratio": spec.to_ratio,
        "protect": sorted(spec.protect),
        "watch": list(watched),
        "splits": spec.splits,
        "race": spec.race,
        "text": None if passages is None else texts.digest(passages),
        "draws": spec.draws if criterion.drawn else None,
        "within": None if spec.within is None else sorted(spec.within),
        "assess": spec.assess,
    }


def stored(run: RunDirectory, criterion: str, wanted: Mapping[str, Any]) -> Pruned | None:
    """The finished path that a run directory holds, where it is the one that is wanted, or begins with it.

    Raises `RunError` where it would be replaced by one whose blocks are chosen otherwise. What a race drops depends on
    how long the path may become.
    """
    kept = results.read(run, criterion)
    if kept is None or _serves(kept, wanted):
        return kept
    had = kept.settings.raw() if kept.settings else {}
    decisive = (*CHOICE, "remove", "to_ratio") if wanted["race"] is not None else CHOICE
    other = [name for name in decisive if name in had and had[name] != wanted[name]]
    if other:
        phrases = [f"{name} is {said(had[name])} there and {said(wanted[name])} here" for name in other]
        raise RunError(
            f"{run.path} holds another path by {kept.criterion_name}: {'; '.join(phrases)}. "
            "Give --fresh to replace it, or choose another --out."
        )
    return None


def _serves(kept: Pruned, wanted: Mapping[str, Any]) -> bool:
    """Whether a finished path is the one that is wanted, or begins with it. A raced one serves only itself."""
    had = kept.settings.raw() if kept.settings else None
    if had is None or any(had.get(name) != wanted[name] for name in wanted.keys() - LENGTH):
        return False
    if wanted["assess"] and kept.recommended and not (kept.assessment or kept.not_assessed):
        return False
    if all(had[name] == wanted[name] for name in LENGTH - {"assess"}):
        return True
    if (wanted["remove"] is None and wanted["to_ratio"] is None) or wanted["race"] is not None:
        return False
    last = last_step(kept.n_layers, wanted["remove"], wanted["to_ratio"], kept.protected)
    return kept.gone(len(kept.steps) - 1) >= last
