"""Similarity: do a pruned model's states, and its decisions, still look like the dense model's?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from layercliff.analyses.similarity import result as results
from layercliff.analyses.similarity.result import Similar, What
from layercliff.analyses.similarity.spec import SimilaritySpec
from layercliff.metrics import similarity as metric
from layercliff.metrics.similarity import Similarities
from layercliff.metrics.statistics import LEVEL, percentile_interval
from layercliff.models.merged_blocks import ordered
from layercliff.models.merged_weights import make, weights_replaced
from layercliff.pruning.selected_step import steps_of
from layercliff.pruning.step import Step
from layercliff.random_streams import RandomStream, generator
from layercliff.readout.batches import Batch
from layercliff.readout.encoded_task import EncodedTask
from layercliff.readout.gather import StateGatherer, places
from layercliff.readout.lens import LogitLens
from layercliff.readout.read import Reader, Reading
from layercliff.run.directory import key
from layercliff.run.session import Session, session
from layercliff.run.verb import verb


@verb(SimilaritySpec)
def similarity(spec: SimilaritySpec) -> Similar:
    """Compare every depth of the dense model with every depth of its own and of pruned ones.

    The measure is debiased linear CKA. It is taken of the states of all tokens, of the states of the token that
    decides, and of decision representations.

    `steps` are steps of the path by `criterion` in the run directory `out` (default: the recommended one and the
    collapsed one). Up to `tokens` tokens of each question stand for all. Those that every prompt begins with are left
    out. A decision representation is a question's option scores, less their mean. It takes the questions of the most
    common number of options. One control pairs samples at random. The other puts random rows of the vocabulary in place
    of the options' tokens (a token always gets the same one). All questions are asked. The other arguments are those of
    `layercliff.trace`. Results lie in ``DIR/similarity/``.

    Returns:
        A `Similar`.

    Raises:
        LayercliffError: For what cannot be used, in one sentence.
    """
    path, pruned = steps_of(spec.out, spec.steps, spec.criterion)
    chosen = {0: path.steps[0], **pruned}
    wanted: dict[str, Any] = {
        "tokens": spec.tokens,
        "criterion": path.criterion_name,
        "steps": {str(step): list(found.kept) for step, found in chosen.items()},
        "blends": key(*(ordered(found.blends) for found in chosen.values())),
    }
    guarded = ("criterion", "steps", "tokens")
    with session(spec, results.FOLDER, wanted, results.read, lambda kept: kept.settings.raw(), guarded=guarded) as this:
        assert this.run is not None
        if this.kept is not None:
            return this.kept
        seed, tables, summaries = this.setting.subject.seed, [], []
        for number, part in enumerate(this.asked):
            where = places(part, spec.tokens, seed)
            seen = {step: _see(this, part, one, where, f"step {step}") for step, one in chosen.items()}
            for what in results.ABOUT:
                for standardised in (False, True):
                    this.options.report(f"comparing ({part.task.name})", number, len(this.asked))
                    about = {"task": part.task.name, "what": what, "standardised": standardised}
                    table, summary = _compare(part, what, standardised, seen, chosen, seed)
                    tables.append(table.select(*(pl.lit(v).alias(k) for k, v in about.items()), pl.all()))
                    summaries.append(summary.select(*(pl.lit(v).alias(k) for k, v in about.items()), pl.all()))
        this.options.report("comparing", 1, 1)
        passes = sum(len(one.kept) for one in chosen.values()) / len(chosen)
        found = Similar(
            this.setting.subject,
            pl.concat(tables),
            pl.concat(summaries),
            results.SimilarSettings(**wanted),
            this.cost(passes),
        )
        results.write(this.run, found)
    return found


@dataclass(frozen=True)
class _Readout:
    """What a model showed of a task: option scores, those of random tokens, and states.

    `owner` is each token's question.
    """

    scores: Float[np.ndarray, "depth question option"]
    random: Float[np.ndarray, "depth question option"]
    decision: Float[np.ndarray, "depth question d"]
    tokens: Float[np.ndarray, "depth token d"]
    owner: Int[np.ndarray, " token"]


def _see(
    this: Session[Similar], part: EncodedTask, step: Step, where: Mapping[int, Sequence[int]], name: str
) -> _Readout:
    """Pass a task through a step's model, journaled batch by batch."""
    reader = Reader(this.model, LogitLens(this.model.anatomy.unembedding), part.reading, "none", this.options.note)
    order = generator(RandomStream.VOCABULARY, this.setting.subject.seed).permutation(
        reader.lens.unembedding.vocabulary
    )
    gather = StateGatherer(step.kept, where)
    made = make(this.model.network, step.blends)
    readings: list[tuple[Batch, Reading]] = []
    control: list[tuple[Batch, Reading]] = []
    ((_, batches),) = this.batched([part], "rows")
    for done, batch in enumerate(batches):
        this.options.report(f"states of {part.task.name} ({name})", done, len(batches))
        here = [row.question for row in batch.rows if row.option in (None, 0)]
        # Entries under "states" came from views, of which older versions kept the wrong values: they are not read
        # again.
        journal_key = key(
            "states as they are", this.setting.subject.model_dump(), where, step.kept, ordered(step.blends), batch
        )
        shuffled = tuple(replace(row, targets=tuple(int(order[t]) for t in row.targets)) for row in batch.rows)
        known = this.journal.get(journal_key) if this.journal else None
        if known is None:
            pairs = tuple(row for pair in zip(batch.rows, shuffled, strict=True) for row in pair)  # of the same states
            with weights_replaced(made):
                both = reader.read(replace(batch, rows=pairs), gather).arrays()
            known = {
                f"{letter}_{n}": array[:, begin::2] for begin, letter in enumerate("ab") for n, array in both.items()
            }
            known |= {f"q_{question}": gather.states(question) for question in here}
            if this.journal:
                this.journal.put(journal_key, known)
        this.batches += 1
        for found, one, letter in ((readings, batch, "a_"), (control, replace(batch, rows=shuffled), "b_")):
            arrays = {n.removeprefix(letter): array for n, array in known.items() if n.startswith(letter)}
            found.append((one, Reading.of(arrays)))
        gather.found |= {question: list(known[f"q_{question}"]) for question in here}
    this.options.report(f"states of {part.task.name} ({name})", len(batches), len(batches))
    states = [gather.states(question) for question in range(len(part.questions))]
    return _Readout(
        part.scores(readings)[0],
        part.scores(control)[0],
        np.stack([s[:, 0] for s in states], 1),
        np.concatenate([s[:, 1:] for s in states], 1),
        np.repeat(np.arange(len(states)), [s.shape[1] - 1 for s in states]),
    )


def _features(part: EncodedTask, what: What, seen: _Readout) -> tuple[Float[np.ndarray, "depth n d"], list[str]]:
    """One map's features at every depth, and the group of each sample."""
    groups = [question.group for question in part.questions]
    if what == "tokens":
        return seen.tokens, [groups[question] for question in seen.owner]
    if what == "decision":
        return seen.decision, groups
    keep = metric.usual(part.mask)
    scores = (seen.scores if what == "options" else seen.random)[:, keep, : int(part.mask[keep[0]].sum())]
    return scores - scores.mean(-1, keepdims=True), [groups[question] for question in keep]


def _compare(
    part: EncodedTask,
    what: What,
    standardised: bool,
    seen: Mapping[int, _Readout],
    chosen: Mapping[int, Step],
    seed: int,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The table and the summary of one map: every depth of the dense model against every depth of each step's."""
    stacks = {step: _features(part, what, found) for step, found in seen.items()}
    groups = stacks[0][1]
    names = [(step, depth) for step, (stack, _) in stacks.items() for depth in range(len(stack))]
    features = [stacks[step][0][depth] for step, depth in names]
    flat = [metric.constant(f) for f in features]
    varies = [number for number, f in enumerate(flat) if not (f.any() if standardised else f.all())]
    ready = [
        metric.prepared(
            features[i], f"{part.task.name}: depth {names[i][1]} of step {names[i][0]} ({what})", standardised
        )
        for i in varies
    ]
    alike = metric.similarities(ready, groups, seed)
    place = {names[i]: number for number, i in enumerate(varies)}
    low, high = alike.interval()
    rows, summaries = [], []
    for step, kept in ((step, found.kept) for step, found in chosen.items()):
        for dense, depth in product(range(len(stacks[0][0])), range(len(kept) + 1)):
            row: dict[str, Any] = {
                "step": step,
                "dense": dense,
                "pruned": depth,
                "n": len(groups),
                "d": features[0].shape[1],
            }
            here = place.get((0, dense)), place.get((step, depth))
            values = dict.fromkeys(("cka", "low", "high", "shuffled", "shuffled_size"))
            rows.append(row | (values if None in here else _cell(alike, low, high, here)))
        third = [((0, kept[depth - 1] + 1), (step, depth)) for depth in results.last_third(len(kept))]
        pairs = {"third": third, "last": [((0, len(stacks[0][0]) - 1), (step, len(kept)))]}
        summary: dict[str, Any] = {"step": step}
        for name, some in pairs.items():
            cells = [(place[a], place[b]) for a, b in some if a in place and b in place]
            summary |= _mean(name, alike, cells)
        summary["third_samples"] = _third(alike, [(place[a], place[b]) for a, b in third if a in place and b in place])
        summaries.append(summary)
    numbers = dict.fromkeys(("cka", "low", "high", "shuffled", "shuffled_size"), pl.Float64)
    table = pl.DataFrame(rows, schema_overrides=numbers)
    summary_of = (
        {"step": pl.Int64}
        | dict.fromkeys(list(summaries[0])[1:-1], pl.Float64)
        | {"third_samples": pl.List(pl.Float64)}
    )
    found = pl.DataFrame(summaries, schema=summary_of)
    return table.fill_nan(None), found.with_columns(pl.col(pl.Float64).fill_nan(None))


def _cell(alike: Similarities, low: np.ndarray, high: np.ndarray, at: tuple[Any, ...]) -> dict[str, float]:
    shuffled = alike.shuffled[:, *at]
    return {
        "cka": float(alike.point[at]), "low": float(low[at]), "high": float(high[at]),
        "shuffled": float(shuffled.mean()), "shuffled_size": float(np.quantile(np.abs(shuffled), LEVEL)),
    }  # fmt: skip


def _third(alike: Similarities, cells: Sequence[tuple[int, int]]) -> list[float] | None:
    """The mean of some cells in every subsample, the same for all steps."""
    if not cells:
        return None
    a, b = np.array(cells).T
    found: list[float] = alike.samples[:, a, b].mean(1).tolist()
    return found


def _mean(name: str, alike: Similarities, cells: Sequence[tuple[int, int]]) -> dict[str, float | None]:
    """The mean of some cells with its interval, and with the pairing shuffled."""
    if not cells:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high", f"{name}_shuffled"))
    a, b = np.array(cells).T
    low, high = percentile_interval(alike.samples[:, a, b].mean(1))
    return {
        name: float(alike.point[a, b].mean()), f"{name}_low": float(low), f"{name}_high": float(high),
        f"{name}_shuffled": float(alike.shuffled[:, a, b].mean()),
    }  # fmt: skip
