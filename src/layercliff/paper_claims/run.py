"""Claims: which of the paper's claims hold for a model on a task, and how that is known."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from layercliff.analyses.trace import result as traced
from layercliff.analyses.trace.run import trace
from layercliff.analyses.trace.spec import TraceSpec
from layercliff.errors import RunError, TaskError
from layercliff.models.model import Model
from layercliff.paper_claims import registry, verdicts
from layercliff.paper_claims import result as claimed
from layercliff.paper_claims.evidence import Evidence, Measurement, Planned
from layercliff.paper_claims.registry import RegisteredClaim
from layercliff.paper_claims.result import Claimed
from layercliff.paper_claims.spec import ClaimsSpec
from layercliff.paper_claims.stages import Stages
from layercliff.paper_claims.subsets.run import RACE
from layercliff.pruning import result as pruned
from layercliff.pruning.run import prune
from layercliff.pruning.spec import PruneSpec
from layercliff.pruning.sweep import most_passes
from layercliff.run.directory import RunDirectory
from layercliff.run.resolved import ResolvedRun
from layercliff.run.verb import verb

TRACE = "reading the model at every depth"
PATH = "removing blocks: margin"
RACED = 0.4  # of a step's block passes that a race with reuse takes, about

Stage = TypeVar("Stage")


@verb(ClaimsSpec)
def claims(spec: ClaimsSpec) -> Claimed:
    """Judge every claim of the paper on a model and a task: measurement with interval, control, rule and verdict.

    What the run directory `out` holds already is used as it is: trace, controls, paths, noise, ablation, similarity,
    patching, training. What is missing is run with settings that suffice. Paths are a raced one by margin up to the
    collapse, the tail and a few random ones. Noise is drawn once, blocks are skipped, and the steps are those around
    the collapse.

    Models are trained only with `recover`, and only those that the directory does not hold trained yet (C7; as
    `layercliff.recover` does it, which needs the extra ``recover``).

    Where a claim lacks what it is about (a transition, phases of three blocks, a collapse), its runs are left out. It
    is then undecided, with the reason. An interrupted run goes on where it stopped. Without `resume`, verdicts and
    what was run for them alone are removed first. The arguments are those of `layercliff.trace`. Verdicts lie in
    ``DIR/claims.json`` and first on the page.

    Returns:
        A `Claimed`.

    Raises:
        LayercliffError: For what cannot be used, in one sentence.
    """
    if spec.out is None:
        raise RunError("Claims are judged from a run directory: name one with out.")
    setting = ResolvedRun.of(spec, report=spec.report)
    if len(setting.tasks) != 1:
        raise TaskError(f"{len(setting.tasks)} tasks were named: claims are judged on one task at a time.")
    run = RunDirectory(Path(spec.out))
    with run.lock():
        run.claim(setting.subject)
        for name in () if spec.resume else ("claims", claimed.FILE):
            run.forget(name)
    found = verdicts.judge(_Gathering(setting, run, spec, registry.registered()).evidence())
    with run.lock():
        claimed.write(run, found)
    return found


class _Gathering:
    """Reads what a run directory holds that some claims are judged by, and runs what is missing, stage by stage."""

    def __init__(
        self, setting: ResolvedRun, run: RunDirectory, spec: ClaimsSpec, claims: Mapping[str, RegisteredClaim]
    ) -> None:
        self.setting, self.run, self.spec, self.claims = setting, run, spec, claims
        for one in registry.measurements(claims.values()):
            if one.asked(spec):
                one.check(run)

    @cached_property
    def model(self) -> Model:
        """Loaded when something is missing, once for all stages."""
        return self.setting.load(self.spec)

    def evidence(self) -> Evidence:
        """The trace and the path by margin, and what is measured for each claim that has what it requires."""
        dense, path = traced.read(self.run), pruned.read(self.run, "margin")
        self.stages = self._planned(dense.trace.n_layers if dense else self.model.n_layers)
        dense = self._stage(TRACE, dense, lambda s: trace(s.into(TraceSpec)))
        raced = {"criterion": "margin", "assess": False, "race": RACE}
        path = self._stage(PATH, path, lambda s: prune(s.into(PruneSpec, **raced)))
        found = Evidence(dense, path)
        due = registry.measurements(claim for claim in self.claims.values() if claim.lacks(found) is None)
        for one in registry.measurements(self.claims.values()):
            if one not in due:
                self.stages.skip(one.progress)
        for one in due:
            found = replace(found, measured={**found.measured, **self._measured(one, found)})
        return found

    def _planned(self, n_layers: int) -> Stages:
        """All stages, with what each will take at most, in block passes per question."""
        planned = Planned(n_layers, len(self.setting.drawn[0][0]), self.run)
        chosen = RACED * sum(most_passes(n) for n in range(2, n_layers + 1))
        costs = {TRACE: float(n_layers), PATH: (chosen + planned.forked) / 2}  # half of the questions
        for one in registry.measurements(self.claims.values()):
            costs[one.progress] = one.passes(planned) if one.asked(self.spec) else 0.0
        return Stages(self.spec.report, costs)

    def _measured(self, one: Measurement[Any], found: Evidence) -> dict[Measurement[Any], Any]:
        """A measurement, as it is held or made now. Nothing where it is neither."""
        kept = one.read(self.run)
        if not one.asked(self.spec):
            return {} if kept is None else {one: kept}
        enough = kept if kept is not None and one.suffices(kept, found) else None
        return {one: self._stage(one.progress, enough, lambda s: one.run(s, found, kept))}

    def _stage(self, name: str, kept: Stage | None, work: Callable[[ClaimsSpec], Stage]) -> Stage:
        """What is `kept`, or what `work` makes of a spec of the loaded model."""
        if kept is not None:
            self.stages.skip(name)
            return kept
        spec = self.spec.given(model=self.model, task=self.setting.tasks[0], resume=True)
        return self.stages.run(name, lambda report: work(spec.given(report=report)))
