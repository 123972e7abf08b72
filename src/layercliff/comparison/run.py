"""Compare criteria: the same model, questions and measurements, a path per criterion."""

from pathlib import Path

from layercliff.comparison import result as compared
from layercliff.comparison.spec import CompareSpec
from layercliff.errors import RunError
from layercliff.pruning.criterion import named
from layercliff.pruning.result import Pruned
from layercliff.pruning.run import prune
from layercliff.pruning.spec import PruneSpec
from layercliff.run.directory import RunDirectory
from layercliff.run.resolved import ResolvedRun
from layercliff.run.verb import verb


@verb(CompareSpec)
def compare(spec: CompareSpec) -> list[Pruned]:
    """Walk a path by each of `criteria` on the same halves of the same questions, and put them side by side.

    Paths end after `remove` blocks or at the share `to_ratio` (default: half of the blocks). A longer path that is
    there already is taken as it is. The other options are those of `layercliff.prune`. A race is for criteria that can
    be raced.

    Paths lie in ``DIR/prune/<criterion>/`` as `layercliff.prune` leaves them, and two tables in ``DIR/compare/``. One
    has the accuracy per criterion and step, with intervals and the paired difference to the first criterion. The other
    has block passes and seconds of choosing.

    Returns:
        A `Pruned` per criterion.

    Raises:
        LayercliffError: Of an unknown criterion with the nearest known one.
    """
    criteria = spec.criteria
    known = {name: named(name) for name in criteria}
    if len(set(criteria)) < 2:
        raise RunError(
            f"{', '.join(criteria) or 'Nothing'} cannot be compared with itself: name at least two criteria."
        )
    if spec.out is None:
        raise RunError("Paths are compared in a run directory: name one with out.")
    setting = ResolvedRun.of(spec, report=spec.report)
    run = RunDirectory(Path(spec.out))
    with run.lock():
        run.claim(setting.subject)
    ratio = 0.5 if spec.remove is None and spec.to_ratio is None else spec.to_ratio
    every = spec.into(PruneSpec, model=setting.load(spec), task=setting.tasks, to_ratio=ratio)
    found = []
    for number, criterion in enumerate(criteria):
        spec.report(f"criteria ({criterion})", number, len(criteria))
        race = spec.race if known[criterion].raced else None
        found.append(prune(every.given(criterion=criterion, race=race)))
    spec.report("criteria", len(criteria), len(criteria))
    with run.lock():
        compared.write(run, found)
    return found
