"""Results as sentences and short figures."""

import math
import statistics
from collections.abc import Iterator
from typing import TYPE_CHECKING

from layercliff.analyses.recover.result import SAID, Recovered
from layercliff.analyses.trace.result import Traced
from layercliff.metrics.analysis import Analysis
from layercliff.metrics.perplexity import Estimate
from layercliff.metrics.phases import Transition
from layercliff.metrics.statistics import LEVEL, Curve
from layercliff.models.merged_blocks import Blends, ordered
from layercliff.pruning import result as results
from layercliff.pruning.assessment import Assessment
from layercliff.pruning.result import Pruned

if TYPE_CHECKING:
    from layercliff.exporting.run import Exported

PERCENT = f"{LEVEL:.0%}".replace("%", " %")
FEW = 30  # groups of questions that a bootstrap should have to draw from, at least


def verdict(analysis: Analysis) -> str:
    """Where the decision forms, with its interval, in a sentence."""
    transition = analysis.transition
    if transition.depth is None:
        decided = 1 - transition.undecided_share
        return (
            f"The model is undecided: up to its last depth, {analysis.n_layers}, margin and "
            "accuracy do not stay above 0 and chance "
            f"(margin {interval(analysis, 'margin')}, accuracy "
            f"{interval(analysis, 'accuracy')}, chance {analysis.chance:.2f}; {decided:.0%} "
            "of resamples are decided)."
        )
    where = f"depth {transition.depth}, {PERCENT} interval {depth_interval(analysis)}"
    if transition.depth == 0:
        return f"The decision stands before the first block ({where}): the options' tokens alone give the answer away."
    undecided = f"; {transition.undecided_share:.0%} of resamples are undecided" if transition.undecided_share else ""
    return f"The decision forms in block {transition.depth - 1} of {analysis.n_layers} ({where}{undecided})."


def phases(analysis: Analysis) -> str | None:
    """The Silent and Decisive Phase in a sentence, or None for an undecided model."""
    depth, last = analysis.transition.depth, analysis.n_layers - 1
    if depth is None or depth == 0:
        return None
    decisive = f"blocks {depth}-{last}" if depth < last else f"block {last}" if depth == last else "empty"
    silent = f"blocks 0-{depth - 1}" if depth > 1 else "block 0"
    return f"Silent Phase: {silent}; Decisive Phase: {decisive}. Blocks are counted from 0."


def boundaries(analysis: Analysis) -> str | None:
    """T by the sign of the margin alone, where it differs, and T_half, in a sentence or two."""
    said = []
    if analysis.by_sign.depth != analysis.transition.depth:
        said.append(f"By the sign of the margin alone, as the paper reads it, {_depth_of(analysis.by_sign)}.")
    if analysis.jump.shown:
        said.append(f"T_half, the middle of the rise: {_depth_of(analysis.half)}.")
    elif analysis.jump.p is not None:
        said.append(f"The largest rise is no larger than with shuffled answers (p = {analysis.jump.p:.2g}): no T_half.")
    return " ".join(said) or None


def _depth_of(found: Transition) -> str:
    """A depth with its interval."""
    return "none" if found.depth is None else f"depth {found.depth} [{_ends(found)}]"


def jump(analysis: Analysis) -> str:
    """The largest rise of the margin over one block, in a sentence."""
    found = analysis.jump
    low, high = found.rise_interval
    return (
        f"Largest rise: block {found.block}, {found.rise:+.2f} [{low:+.2f}, {high:+.2f}], "
        f"{found.sharpness:.0%} of all rises [{found.sharpness_interval[0]:.0%}, "
        f"{found.sharpness_interval[1]:.0%}]."
    )


NORMALISED = {"token": "token", "char": "character", "byte": "byte"}


def normalised(analysis: Analysis) -> str | None:
    """Accuracy at the last depth by each normalisation, in a sentence, or None where there is but one."""
    if not analysis.accuracy_by:
        return None
    parts = [f"{_with_ends(curve)} per {NORMALISED[by]}" for by, curve in analysis.accuracy_by.items()]
    return f"Accuracy by log-likelihood {', '.join(parts)}; all else is by the sum."


def option_mass(analysis: Analysis) -> str | None:
    """How much of the model's probability the options carry, or None where it was not computed."""
    mass = analysis.option_mass[-1]
    return (
        f"The options carry {mass:.1%} of the model's probability at the last depth." if math.isfinite(mass) else None
    )


def prediction_bias(analysis: Analysis) -> str | None:
    """How far the last depth's answers are from the gold ones, beside a model without preference; None for several
    tasks."""
    if analysis.frequency is None:
        return None
    found = analysis.frequency.kl
    point, p = found.point[-1], found.p[-1]
    mean, low, high = (end[-1] for end in (found.reference.point, found.reference.low, found.reference.high))
    place = "above this band" if point > high else "below this band" if point < low else "inside this band"
    return (
        f"Prediction bias at the last depth: KL {point:.3f} nats. A model of this accuracy without any preference has "
        f"{mean:.3f} [{low:.3f}, {high:.3f}] on these {analysis.frequency.n_counted} questions. It lies {place}, by "
        f"{point - mean:+.3f} from its middle (p = {p:.3f}). KL on another number of questions is no comparison."
    )


def depth_interval(analysis: Analysis) -> str:
    """``13-13``; an end where resamples are undecided reads ``undecided``."""
    return _ends(analysis.transition)


def _ends(found: Transition) -> str:
    ends = (found.low, found.high)
    return "-".join("undecided" if end == float("inf") else f"{end:.0f}" for end in ends)


def interval(analysis: Analysis, name: str, depth: int = -1) -> str:
    """A curve's value at a depth with its interval, e.g. ``+0.82 [+0.77, +0.87]``."""
    return _with_ends(getattr(analysis, name), "" if name == "accuracy" else "+", depth)


def _with_ends(curve: Curve, sign: str = "", depth: int = -1) -> str:
    return f"{curve.point[depth]:{sign}.2f} [{curve.low[depth]:{sign}.2f}, {curve.high[depth]:{sign}.2f}]"


def blocks_of(n: int) -> str:
    """So many blocks."""
    return f"{n} block{'s' * (n != 1)}"


def cliff(pruned: Pruned) -> str:
    """Where the path collapses, in a sentence."""
    found, last = pruned.collapse, len(pruned.steps) - 1
    if not found.defined:
        return "the dense model is not shown to be above chance, so that no cliff is defined."
    censored = (
        f" ({found.censored_share:.0%} of resamples do not collapse on this path)" if found.censored_share else ""
    )
    if found.step is None:
        return f"no cliff within {pruned.gone(last)} removed blocks of {pruned.n_layers}{censored}."
    blocks = "" if pruned.gone(found.step) == found.step else f" ({blocks_of(pruned.gone(found.step))} removed)"
    ends = "-".join("beyond" if end == float("inf") else f"{end:.0f}" for end in (found.low, found.high))
    return (
        f"the cliff is at step {found.step}{blocks} of {pruned.n_layers} blocks, {PERCENT} interval {ends}{censored}."
    )


def along(pruned: Pruned) -> str:
    """The first crossing, a revival after it, and how much accuracy is retained along the path, in sentences."""
    first, retained = pruned.collapse.crossing, pruned.collapse.retained
    if first is None or retained is None:
        return ""
    said = "Accuracy above chance never falls below half of the dense model's on this path"
    if first.step is not None:
        ends = "-".join("beyond" if end == float("inf") else f"{end:.0f}" for end in (first.low, first.high))
        said = f"Accuracy above chance first falls below half of the dense model's at step {first.step} ({ends})"
    if pruned.collapse.revived:
        last = (
            f"from step {pruned.collapse.step} on it stays below"
            if pruned.collapse.step
            else "it is above at the last step"
        )
        said = f"{said} and revives: it comes back later, and {last}"
    area = retained.area(pruned.n_layers)
    return (
        f"{said}. In the mean over the {blocks_of(retained.blocks)} removed, {retained.mean:.0%} of it is retained "
        f"[{retained.low:.0%}, {retained.high:.0%}]; as an area, {area[0]:.2f} of {pruned.n_layers} blocks "
        f"[{area[1]:.2f}, {area[2]:.2f}]."
    )


def stability(pruned: Pruned) -> str | None:
    """How far repetitions of a path agree, in a few sentences, or None where there are none."""
    found = pruned.stability
    if found is None:
        return None
    low, middle, high = ("beyond the path" if end == float("inf") else f"{end:g}" for end in found.collapse_range)
    what = "random orders" if pruned.criterion.drawn else "draws of the halves"
    step = min(max(1, pruned.recommended), found.loss.shape[1] - 1)
    losses = 100 * found.loss[:, step]
    always = [str(b) for b, share in enumerate(found.gone[step]) if share == 1]
    agreed = f"blocks {', '.join(always)} are gone in all of them" if always else "no block is gone in all of them"
    return (
        f"Over {len(found.loss)} {what} the cliff is at step {middle} in the median ({low} "
        f"to {high}); after {step} removals the loss is "
        f"{statistics.median(losses):+.1f} points in the median ({min(losses):+.1f} to "
        f"{max(losses):+.1f}), and {agreed}."
    )


def race(pruned: Pruned) -> str | None:
    """What a race leaves to chance, or None."""
    if pruned.race is None:
        return None
    return (
        f"Candidates were raced: with a probability of at most {pruned.race:g} over the whole "
        "path, another block was chosen somewhere than all questions would have chosen."
    )


def merged(blends: Blends) -> str:
    """Which blocks are made of which, in a sentence with a space before it, or nothing."""
    if not blends:
        return ""
    parts = [f"{block} of {', '.join(map(str, sorted(blend.sources)))}" for block, blend in ordered(blends)]
    return f" Merged: {'; '.join(parts)}."


def recommendation(pruned: Pruned) -> str:
    """Which blocks to take out, and how far that is shown, in a few sentences."""
    step = pruned.recommended
    margin = f"{100 * results.MARGIN:.0f} points"
    warning = "Likelihood on multiple choice does not vouch for generation: check what the pruned model writes."
    if step == 0:
        first = pruned.harmless[0] if pruned.harmless else None
        loss = (
            f" (the first costs {100 * first.loss:.1f} points [one-sided bound {100 * first.upper:.1f}])"
            if first
            else ""
        )
        return f"No block can go: none is estimated to cost less than {margin}{loss}. {warning}"
    found = pruned.harmless[step - 1]
    made = merged(pruned.steps[step].blends)
    gone = sorted(set(pruned.steps[0].kept) - set(pruned.steps[step].kept))
    blocks = f"block{'s' * (len(gone) > 1)} {', '.join(map(str, gone))}"
    low, high = pruned.loss_interval(step)
    cost = (
        f"accuracy lost {100 * found.loss:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}], "
        f"one-sided bound {100 * found.upper:+.1f}"
    )
    if found.shown:
        return (
            f"Take out {blocks} ({pruned.gone(step)} of {pruned.n_layers}): a loss below "
            f"{margin} is shown at {PERCENT} ({cost}).{made} {warning}"
        )
    needed = "more questions" if found.questions_needed is None else f"about {found.questions_needed} questions"
    n = len(pruned.traces[0].questions)
    return (
        f"By the estimate, {blocks} ({pruned.gone(step)} of {pruned.n_layers}) can go, but a "
        f"loss below {margin} is not shown with {n} questions ({cost}); {needed} would do.{made} "
        f"{warning}"
    )


def shown(pruned: Pruned, step: int) -> str:
    """Whether a step is shown to do no harm, in a sentence."""
    if step == 0:
        return "Nothing is removed: this is the model that the path began with."
    found = pruned.harmless[step - 1]
    verdict = "is shown" if found.shown else "is not shown"
    return (
        f"A loss of accuracy below {100 * results.MARGIN:.0f} points {verdict} at {PERCENT} "
        f"(lost {100 * found.loss:+.1f}, one-sided bound {100 * found.upper:+.1f})."
    )


def proof(found: "Exported") -> str:
    """What a fresh process showed of a checkpoint, in a few sentences."""

    def but(ties: int, what: str) -> str:
        return f", but for {ties} {what} at a tie within rounding" if ties else ""

    proof = found.proof
    return (
        f"Reloaded in a fresh process: all {proof.tensors} tensors are equal to the bit, "
        f"none missing or unexpected. Logits of {proof.sequences} "
        f"sequences differ by {proof.largest_logit_difference:.2g}, those of two copies of "
        f"the same model by up to {proof.noise_floor:.2g}. "
        f"The scores of {found.predictions_compared} report questions are the path's within "
        f"{found.scores_differ:.2g} of what rounding explains"
        f"{but(found.predictions_tied, 'answered otherwise')}; cached generation equals "
        f"uncached{but(proof.generations_tied, 'of them')}."
    )


def assessment(found: Assessment) -> Iterator[str]:
    """What the recommended step is like besides its answers, in sentences."""
    share = 1 - found.parameters_pruned / found.parameters_dense
    yield (
        f"{found.parameters_dense / 1e6:,.1f} M parameters become "
        f"{found.parameters_pruned / 1e6:,.1f} M ({share:.0%} less), "
        f"{found.weight_bytes_dense / 1e6:,.0f} MB of weights {found.weight_bytes_pruned / 1e6:,.0f} MB."
    )
    for name, pace in (("a prompt", found.prompt), ("generation", found.generation)):
        yield (
            f"Tokens per second of {name} on {found.device} in {found.weights_dtype}: "
            f"{pace.dense:,.1f} become {pace.pruned:,.1f}, "
            f"{pace.ratio:.2f} times as fast ({pace.low:.2f} to {pace.high:.2f} in {pace.repeats} turns)."
        )
    text = found.perplexity
    yield (
        f"Perplexity of held-out prose ({text.paragraphs} paragraphs): "
        f"{estimate(text.dense)} becomes {estimate(text.pruned)}, "
        f"{estimate(text.ratio)} times as high; repeated 3-grams in completions: "
        f"{found.repetition_dense:.0%}, then {found.repetition_pruned:.0%}."
    )


def training(found: Recovered) -> str:
    """How pruned models were trained, and on what, in words."""
    how = found.settings
    kind = f"LoRA of rank {how.rank}" if how.method == "lora" else "all weights"
    on = " and ".join(f"{m['n']} {SAID[m['from']]}" for m in found.material.values())
    distilled = f", {how.distill:.0%} of the loss the divergence from the dense model" if how.distill else ""
    return f"{kind}, {how.updates} updates of {how.batch} at rate {how.rate:g}, on {on}{distilled}"


def estimate(found: Estimate) -> str:
    """A number with its interval, at three digits."""
    return f"{found.point:,.3g} [{found.low:,.3g}, {found.high:,.3g}]"


def notices(traced: Traced) -> Iterator[str]:
    """What a reader must know about the questions: those left out, skipped, answers that carry little probability."""
    for task in traced.trace.tasks.values():
        if task.left_out:
            yield (
                f"{task.name}: {len(task.left_out)} questions were left out by the format "
                f"{task.form} ({task.left_out[0].partition(': ')[2]})."
            )
        if task.agreement is not None and task.agreement.notice:
            yield f"{task.name}: {task.agreement.notice}"
        if task.skipped:
            yield (
                f"{task.name}: {len(task.skipped)} bad rows were skipped: "
                f"{'; '.join(task.skipped[:3])}{'; ...' if len(task.skipped) > 3 else ''}."
            )
    for name, analysis in traced.analyses.items():
        if analysis.option_mass[-1] < 0.01:
            yield (
                f"{name}: the options carry only {analysis.option_mass[-1]:.1%} of the model's "
                "probability at the last depth; it would rather say something else."
            )
        if few := few_questions(analysis):
            yield f"{name}: {few}"


def few_questions(analysis: Analysis) -> str:
    """A warning where a bootstrap has little to draw from; nothing otherwise."""
    if analysis.n_groups >= FEW:
        return ""
    said = "resampled intervals of so few, as of T and k*, are too narrow."
    return f"{analysis.n_groups} independent questions are few; {said}"
