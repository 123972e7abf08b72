"""The loss on plain text at every depth of a model, and after every step of a path: nothing is decided there."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import polars as pl
from jaxtyping import Float
from torch import Tensor

from layercliff.analyses.controls.result import Controlled
from layercliff.metrics.intervals import bca
from layercliff.metrics.perplexity import losses
from layercliff.metrics.statistics import RESAMPLES
from layercliff.models.blockwise_pass import BlockwisePass
from layercliff.models.merged_blocks import ordered
from layercliff.models.merged_weights import make, weights_replaced
from layercliff.models.model import Model
from layercliff.pruning.assess import LENGTH, SCORED
from layercliff.pruning.step import Step
from layercliff.readout import likelihood, logit_agreement
from layercliff.readout.batches import Batch, plan
from layercliff.readout.lens import LogitLens
from layercliff.readout.read import Reader, read_once
from layercliff.readout.tokens import vocabulary
from layercliff.run.directory import key
from layercliff.run.session import Session


def text_losses(
    this: Session[Controlled], passages: Sequence[str], path: Sequence[Step], batch_tokens: int | None
) -> pl.DataFrame:
    """The loss per token (nats) of what follows the beginning of each passage, with its interval over passages.

    There is a row per depth of the model and per step of `path`. A step's row also has the rise above the whole model's
    loss. The journal keeps what is finished.
    """
    model, seed = this.model, this.setting.subject.seed
    rows = likelihood.rows(passages, model.tokenizer, LENGTH, SCORED, model.max_positions, vocabulary(model.network))
    reader = Reader(model, LogitLens(model.anatomy.unembedding), "cloze", "none", this.options.note)
    found = np.zeros((model.n_layers + 1 + len(path[1:]), len(rows)))
    sharing = logit_agreement.of(model, rows, "plain text", this.options.note).sharing
    planned = plan(rows, model.batch_tokens(batch_tokens), sharing, apart="rows")
    for done, batch in enumerate(planned):
        this.options.report("reading plain text", done, len(planned))
        name = key("text", this.setting.subject.model_dump(), [(s.kept, ordered(s.blends)) for s in path], batch)
        reading = read_once(this.journal, name, partial(reader.read, batch, partial(_states, model=model, path=path)))
        this.batches += 1
        for number, row in enumerate(batch.rows):
            found[:, row.question] = reading.scores[:, number, 0]
    this.options.report("reading plain text", len(planned), len(planned))
    point, samples = losses(found, np.array([len(row.targets) for row in rows]), RESAMPLES, seed)
    low, high = bca(point, samples, len(rows))
    last = model.n_layers
    above = bca(point - point[last], samples - samples[:, [last]], len(rows))
    places = [("depth", depth, 0, depth) for depth in range(last + 1)]
    after = [last, *range(last + 1, len(found))]  # the whole model is the path's first
    places += [("step", k, last - len(s.kept), after[k]) for k, s in enumerate(path)]
    columns = ["where", "index", "removed", "loss", "loss_low", "loss_high", "rise", "rise_low", "rise_high"]
    table = [
        (where, index, removed, point[i], low[i], high[i], point[i] - point[last], above[0][i], above[1][i])
        for where, index, removed, i in places
    ]
    return pl.DataFrame(table, schema=columns, orient="row").with_columns(
        paragraphs=pl.lit(len(rows)), tokens=pl.lit(sum(len(row.targets) for row in rows))
    )


def _states(
    passage: BlockwisePass, _: Batch, model: Model, path: Sequence[Step]
) -> Iterator[tuple[int, Float[Tensor, "row position d"]]]:
    yield from passage.depths()
    for step in path[1:]:
        with weights_replaced(make(model.network, step.blends)):
            state = passage.past(step.kept, passage.embedded).levels[-1]
        yield model.n_layers, state
