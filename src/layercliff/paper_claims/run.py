"""Claims: which of the paper's claims hold for a model on a task, and how that is known."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from layercliff.analyses.ablate import result as ablated
from layercliff.analyses.ablate.run import skip_blocks
from layercliff.analyses.ablate.spec import AblateSpec
from layercliff.analyses.controls import result as controlled
from layercliff.analyses.controls.result import Controlled
from layercliff.analyses.controls.run import controls
from layercliff.analyses.controls.spec import ControlsSpec
from layercliff.analyses.intervention_result import InterventionResult, Own
from layercliff.analyses.noise import result as noised
from layercliff.analyses.noise.run import noise
from layercliff.analyses.noise.spec import NoiseSpec
from layercliff.analyses.patch import result as patched
from layercliff.analyses.patch.result import PatchSettings
from layercliff.analyses.patch.run import patch
from layercliff.analyses.patch.spec import PatchSpec
from layercliff.analyses.recover import result as recovered
from layercliff.analyses.recover.result import Recovered
from layercliff.analyses.recover.run import ALL as TRAINING
from layercliff.analyses.similarity import result as similar
from layercliff.analyses.similarity.result import Similar
from layercliff.analyses.similarity.run import similarity
from layercliff.analyses.similarity.spec import SimilaritySpec
from layercliff.analyses.trace import result as traced
from layercliff.analyses.trace.run import trace
from layercliff.analyses.trace.spec import TraceSpec
from layercliff.choices import Control
from layercliff.errors import RunError, TaskError
from layercliff.models.model import Model
from layercliff.paper_claims import c05_similarity, c07_finetuning, training, verdicts
from layercliff.paper_claims import result as claimed
from layercliff.paper_claims.evidence import Evidence
from layercliff.paper_claims.result import Claimed
from layercliff.paper_claims.spec import ClaimsSpec
from layercliff.paper_claims.stages import OF_COLLAPSE, OF_PHASES, OF_TRANSITION_AND_COLLAPSE, Stages, costs
from layercliff.paper_claims.subsets import result as subsets
from layercliff.paper_claims.subsets import run as subsets_run
from layercliff.pruning import result as pruned
from layercliff.pruning.result import Pruned
from layercliff.pruning.run import prune
from layercliff.pruning.spec import PruneSpec
from layercliff.run.directory import RunDirectory
from layercliff.run.resolved import ResolvedRun
from layercliff.run.verb import verb

RANDOM_PATHS = 4

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

    **Returns** a `Claimed`. Raises `LayercliffError`, in one sentence.
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
    found = verdicts.judge(_Gathering(setting, run, spec).evidence())
    with run.lock():
        claimed.write(run, found)
    return found


class _Gathering:
    """Reads what a run directory holds, and runs what is missing, stage by stage."""

    def __init__(self, setting: ResolvedRun, run: RunDirectory, spec: ClaimsSpec) -> None:
        self.setting, self.run, self.spec = setting, run, spec
        self.trains = spec.recover
        for name, kept in (("similarity", similar.read(run)), ("patch", patched.read(run))):
            if kept is not None and kept.settings.criterion != "margin" and pruned.current(run, kept.settings.raw()):
                raise RunError(
                    f"{run.path / name} holds what {name} found on the path by {kept.settings.criterion}, which the "
                    "same on the path by margin would replace: remove it, or choose another --out."
                )
        if spec.recover:
            training.require(run)

    @cached_property
    def model(self) -> Model:
        """Loaded when something is missing, once for all stages."""
        return self.setting.load(self.spec)

    def evidence(self) -> Evidence:
        """All that the claims are judged by."""
        dense = traced.read(self.run)
        n_layers = dense.trace.n_layers if dense else self.model.n_layers
        trained = training.share(recovered.read(self.run), len(self.setting.drawn[0][0]))
        self.stages = Stages(self.spec.report, costs(n_layers, RANDOM_PATHS, trained))
        dense = self._stage("reading the model at every depth", dense, lambda s: trace(s.into(TraceSpec)))
        if not self.trains:
            self.stages.skip(TRAINING)
        found = Evidence(dense, self._path("margin", race=subsets_run.RACE))
        if found.undecided is not None:
            self.stages.skip("random weights", *OF_TRANSITION_AND_COLLAPSE)
        if found.short is not None:
            self.stages.skip(*OF_PHASES)
        if found.no_collapse is not None:
            self.stages.skip(*OF_COLLAPSE)
        found = found if found.undecided else replace(found, controls=self._controls())
        found = found if found.short else self._of_phases(found)
        return found if found.no_collapse else self._of_collapse(found)

    def _stage(self, name: str, kept: Stage | None, work: Callable[[ClaimsSpec], Stage]) -> Stage:
        """What is `kept`, or what `work` makes of a spec of the loaded model."""
        if kept is not None:
            self.stages.skip(name)
            return kept
        spec = self.spec.given(model=self.model, task=self.setting.tasks[0], resume=True)
        return self.stages.run(name, lambda report: work(spec.given(report=report)))

    def _path(self, criterion: str, **more: Any) -> Pruned:
        kept = pruned.read(self.run, criterion)
        own = {"criterion": criterion, "assess": False, **more}
        return self._stage(f"removing blocks: {criterion}", kept, lambda s: prune(s.into(PruneSpec, **own)))

    def _controls(self) -> Controlled:
        """Random weights and shuffled answers."""
        kept = controlled.read(self.run)
        which: tuple[Control, ...] = ("random-weights", "shuffled-gold")
        if kept is not None and not set(which) <= set(kept.settings):
            kept = None
        return self._stage("random weights", kept, lambda s: controls(s.into(ControlsSpec, which=which)))

    def _of_phases(self, found: Evidence) -> Evidence:
        """What compares the phases."""
        shaken = self._stage("noise at every depth", noised.read(self.run), lambda s: noise(s.into(NoiseSpec, draws=1)))
        gone = self._stage(
            "blocks and pairs taken out", ablated.read(self.run), lambda s: skip_blocks(s.into(AblateSpec))
        )
        sets = self._stage(
            "blocks of either phase taken out",
            _made_with(subsets.read(self.run), **subsets_run.settings(found.depth)),
            lambda s: subsets_run.subsets(s, found.depth),
        )
        return replace(found, noise=shaken, ablated=gone, subsets=sets)

    def _of_collapse(self, found: Evidence) -> Evidence:
        """What looks at the collapse; beside the transition only where there is one."""
        step = found.collapse.step
        assert step is not None
        others = () if found.undecided else (self._path("tail"), self._path("random", draws=RANDOM_PATHS))
        alike = self._alike(found.path, step)
        exchanged = None if found.undecided else self._exchanged(found.path, step)
        return replace(found, others=others, similar=alike, patched=exchanged, trained=self._trained(found.path))

    def _alike(self, path: Pruned, step: int) -> Similar:
        """Similarity one step before the collapse and at it."""
        kept = similar.read(self.run)
        own: dict[str, Any] = {"steps": [step - 1, step], "criterion": "margin"}
        if kept is not None and path.holds(kept.settings):
            own |= {"steps": sorted({step - 1, step, *map(int, kept.settings.steps)}), "tokens": kept.settings.tokens}
        return self._stage(
            "states of",
            kept if c05_similarity.has_steps(kept, path, step) else None,
            lambda s: similarity(s.into(SimilaritySpec, **own)),
        )

    def _exchanged(self, path: Pruned, step: int) -> InterventionResult[PatchSettings]:
        """States exchanged with the collapsed model."""
        kept = patched.read(self.run)
        own: dict[str, Any] = {"steps": [step], "criterion": "margin"}
        if kept is not None and path.holds(kept.settings):
            own |= {"steps": sorted({step, *map(int, kept.settings.steps)}), "positions": kept.settings.positions}
        return self._stage(
            "states exchanged",
            _made_with(kept, steps={str(k): list(path.steps[k].kept) for k in own["steps"]}, criterion="margin"),
            lambda s: patch(s.into(PatchSpec, **own)),
        )

    def _trained(self, path: Pruned) -> Recovered | None:
        """Steps around the collapse after training, if the directory holds them or they are to be trained."""
        kept = recovered.read(self.run)
        if not self.trains or not training.lacks(kept, path):
            self.stages.skip(TRAINING)
            return kept if c07_finetuning.is_of(kept, path) else None
        return self._stage(TRAINING, None, lambda s: training.train(s, kept, path))


def _made_with(kept: InterventionResult[Own] | None, **wanted: Any) -> InterventionResult[Own] | None:
    """An analysis, if it was made with these settings."""
    return kept if kept is not None and wanted == {k: kept.settings.raw().get(k) for k in wanted} else None
