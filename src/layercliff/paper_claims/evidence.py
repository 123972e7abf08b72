"""Everything that a run holds about the claims, and the verdicts that follow from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from layercliff.analyses.controls.result import Controlled
from layercliff.analyses.intervention_result import Probed
from layercliff.analyses.similarity.result import Similar
from layercliff.analyses.trace.result import Traced
from layercliff.interventions.removals import removals
from layercliff.interventions.subsets import is_whole, size
from layercliff.metrics.collapse import Collapse
from layercliff.metrics.phases import Transition
from layercliff.metrics.similarity import usual
from layercliff.paper_claims import c01_transition as transition
from layercliff.paper_claims import c02_decisive_phase as decisive
from layercliff.paper_claims import c03_silent_phase as silent
from layercliff.paper_claims import c04_collapse as cliff
from layercliff.paper_claims import c05_similarity as alike
from layercliff.paper_claims import c06_noise as fragile
from layercliff.paper_claims import c07_finetuning as recovery
from layercliff.paper_claims import c08_critical_ratio as study
from layercliff.paper_claims import c09_blocks_that_stay as blocks
from layercliff.paper_claims import c10_silent_phase_kept as remedy
from layercliff.paper_claims import deciding, requirements, stored
from layercliff.paper_claims import subsets_result as subsets
from layercliff.paper_claims.intervals import Sampled
from layercliff.paper_claims.result import Claimed, Verdict
from layercliff.paper_claims.rule import FAMILY_SENTENCE, Claim, undecided
from layercliff.pruning.result import Pruned
from layercliff.recovery.result import Recovered


@dataclass(frozen=True)
class Evidence:
    """Stored results of one model and task; None where a requirement is missing, so that it was not worth a run."""

    traced: Traced
    path: Pruned
    others: tuple[Pruned, ...] = ()
    noise: Probed | None = None
    noise_by_norm: Probed | None = None
    ablated: Probed | None = None
    subsets: Probed | None = None
    similar: Similar | None = None
    patched: Probed | None = None
    controls: Controlled | None = None
    trained: Recovered | None = None

    @property
    def n_layers(self) -> int:
        """L."""
        return self.traced.trace.n_layers

    @property
    def depth(self) -> int:
        """T of a model that decides."""
        assert self.transition.depth is not None
        return self.transition.depth

    @property
    def transition(self) -> Transition:
        return self.traced.main.transition

    @property
    def collapse(self) -> Collapse:
        return self.path.collapse

    @cached_property
    def few(self) -> str | None:
        """Why there are too few questions, in all or on the half reported on."""
        for trace in (self.traced.trace, self.path.traces[0]):
            if why := requirements.few(len(set(trace.groups)), len(trace.questions)):
                return why
        return None

    @cached_property
    def undecided(self) -> str | None:
        """Why there is no transition to speak of, and how many questions would settle whether there is."""
        if self.few or (why := requirements.no_transition(self.transition)) is None:
            return self.few
        margin, correct = self.decisions
        return f"{why} {deciding.enough(margin[-1], correct[-1], self.traced.main.chance, self.everything)}"

    @cached_property
    def short(self) -> str | None:
        """Why phases cannot be compared."""
        return self.undecided or requirements.short_phase(self.depth, self.n_layers)

    @cached_property
    def standing(self) -> str | None:
        """Why there is no collapse to speak of."""
        gone = self.path.gone(len(self.path.steps) - 1)
        return self.few or requirements.no_collapse(self.collapse, gone, self.n_layers, self.path.limited)

    @cached_property
    def everything(self) -> Sampled:
        """Resamples of all questions."""
        return Sampled.of(self.traced.trace.groups, self.traced.subject.seed)

    @cached_property
    def report(self) -> Sampled:
        """Resamples of the half that took no part in a choice."""
        return Sampled.of(self.path.traces[0].groups, self.traced.subject.seed)

    @cached_property
    def decisions(self) -> tuple[np.ndarray, np.ndarray]:
        """Margin and right answers of the dense model ``[depth, question]``."""
        return stored.decisions(self.traced.trace)


def judge(evidence: Evidence) -> Claimed:
    """The verdict on every claim."""
    about = f"{evidence.traced.caption(evidence.traced.main.name)} ({len(evidence.path.traces[0].questions)} of them reported on where a path or blocks were chosen)"
    if kept := evidence.path.protected:
        about += f"; the path protects {'block' if len(kept) == 1 else 'blocks'} {', '.join(map(str, kept))}"
    return Claimed(about, FAMILY_SENTENCE, tuple(_verdicts(evidence)))


def _verdicts(e: Evidence) -> Iterator[Verdict]:
    yield _c1(e)
    yield _c2(e)
    yield _c3(e)
    yield _c4(e)
    yield _c5(e)
    yield _c6(e)
    yield _c7(e)
    yield study.not_run()
    yield _c9(e)
    yield _c10(e)


def _missing(claim: Claim, why: str | None) -> Verdict:
    return undecided(claim, why or "What it is judged by was not run.")


def _c1(e: Evidence) -> Verdict:
    if e.undecided or e.controls is None:
        return _missing(transition.CLAIM, e.undecided)
    trace, margins = e.traced.trace, e.decisions[0]
    chosen, measured = (margins[:, [half == own for half in trace.half_of]] for own in ("select", "report"))
    random = e.controls.transition("random-weights", e.controls.name)
    return transition.judged(chosen, measured, e.report, stored.shuffles(e.controls), random)


def _right(found: Probed, kind: str) -> np.ndarray:
    """Right answers without each set of a kind."""
    return found.decisions[1][[run.kind == kind for run in subsets.subsets(found)]]


def _c2(e: Evidence) -> Verdict:
    if e.short or e.subsets is None:
        return _missing(decisive.CLAIM, e.short)
    m, correct = size(e.n_layers, e.depth), e.decisions[1]
    best = e.subsets.undisturbed[1], _right(e.subsets, "best")[0]
    tail = correct[-1], correct[e.n_layers - m]  # the model without its last m blocks is what is read at that depth
    return decisive.judged(best, tail, _right(e.subsets, "anywhere"), m, (e.report, e.everything))


def _c3(e: Evidence) -> Verdict:
    if e.short or e.subsets is None:
        return _missing(silent.CLAIM, e.short)
    m, runs = size(e.n_layers, e.depth), subsets.subsets(e.subsets)
    phases = {"decisive": e.n_layers - e.depth, "silent": e.depth}
    decisive_whole, silent_whole = (is_whole(runs, kind, blocks, m) for kind, blocks in phases.items())
    without_silent, without_decisive = (_right(e.subsets, kind) for kind in ("silent", "decisive"))
    whole = decisive_whole, silent_whole
    return silent.judged(without_silent, without_decisive, whole, m, e.report, e.traced.subject.seed)


def _c4(e: Evidence) -> Verdict:
    if e.undecided or e.standing:
        return _missing(cliff.CLAIM, e.undecided or e.standing)
    chance, step = e.path.main(0).chance, e.collapse.step
    others = {name: value for path in e.others for name, value in stored.distances(path)}
    patched = ""
    if e.patched is not None and step is not None:
        patched = stored.returns(e.patched, step, e.depth, chance)
    return cliff.judged(stored.along(e.path), chance, e.report, others, patched)


def _c5(e: Evidence) -> Verdict:
    step = e.collapse.step
    if e.standing or e.similar is None or step is None:
        return _missing(alike.CLAIM, e.standing)
    if alike.untouched(e.path.steps[step].kept):
        return undecided(
            alike.CLAIM,
            "At the collapse the last third of depths begins before the first block that is gone, with states that are the dense model's own.",
        )
    groups = np.array(e.traced.trace.groups)
    compared = groups[usual(e.traced.trace.mask)]
    if why := requirements.few(len(set(compared)), len(compared)):
        return undecided(alike.CLAIM, f"Decisions are compared over questions of as many options as most have: {why}")
    sizes, apart = (len(groups), len(compared)), (len(set(groups)), len(set(compared)))
    return alike.judged(stored.thirds(e.similar, step), sizes, apart)


def _c6(e: Evidence) -> Verdict:
    if e.short or e.noise is None:
        return _missing(fragile.CLAIM, e.short)
    by_norm = stored.by_size(e.noise_by_norm) if e.noise_by_norm else {}
    return fragile.judged(stored.by_size(e.noise), e.depth, e.everything, by_norm, e.noise.about["positions"])


def _c7(e: Evidence) -> Verdict:
    if e.standing:
        return _missing(recovery.CLAIM, e.standing)
    if e.collapse.step == len(e.path.steps) - 1:
        return recovery.no_step()
    if e.trained is None:
        return recovery.not_run()
    after = stored.trained(e.trained)
    beyond = {step: margin for step, margin in after.items() if e.trained.place(step) == "beyond"}
    others = {
        f"step {step} ({e.trained.place(step)} the collapse)": margin
        for step, margin in after.items()
        if step and step not in beyond
    }
    return recovery.judged(beyond, others, after[0], stored.training(e.trained), e.report)


def _c9(e: Evidence) -> Verdict:
    if e.short or e.ablated is None:
        return _missing(blocks.CLAIM, e.short)
    skipped = [run for run in removals(e.n_layers) if run.how == "skip"]  # singles, then pairs
    losses = stored.lost(e.ablated, slice(len(skipped)))
    return blocks.judged(losses[: e.n_layers], losses[e.n_layers :], e.depth, e.report)


def _c10(e: Evidence) -> Verdict:
    if e.short:
        return _missing(remedy.CLAIM, e.short)
    correct, gone = e.decisions[1], e.n_layers - e.depth
    control = ""
    if e.subsets is not None:
        (removed,) = (run.removed for run in subsets.subsets(e.subsets) if run.kind == "silent by margin")
        loss = e.subsets.undisturbed[1].mean() - _right(e.subsets, "silent by margin")[0].mean()
        control = f"{len(removed)} silent blocks, chosen by margin one after another: {100 * loss:+.1f} points lost."
    return remedy.judged(correct[-1], correct[e.depth], gone, e.everything, control)
