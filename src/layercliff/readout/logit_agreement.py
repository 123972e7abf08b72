"""Whether rows run block by block give the network's own logits, and which way of sharing keeps them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, get_args
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

from layercliff.choices import Sharing
from layercliff.errors import ModelError
from layercliff.machine import out_of_memory
from layercliff.models import quirks
from layercliff.models.anatomy import not_causal, positions_by_length, text_config, tolerance
from layercliff.models.model import Model
from layercliff.models.precision import ROUNDING
from layercliff.progress import Note, mute
from layercliff.readout.batches import Batch, common, read_from
from layercliff.readout.encode import TokenRow
from layercliff.readout.halving import BatchHalving
from layercliff.readout.read import not_finite, too_large
from layercliff.readout.trace import LogitAgreement

WAYS: tuple[Sharing, ...] = get_args(Sharing)
PLACES = 6  # of a row at most that are compared: a passage of text is read at every position
NARROW = ("bfloat16", "float16")
BEFORE = 24  # places at most that must not change with what follows

Logits = Float[Tensor, "place vocabulary"]


@dataclass(frozen=True)
class TrialRows:
    """The rows of a trial.

    Attributes:
        rows: They are compared, longest first: the longest, the shortest, and the last of two questions: the longest
            row's and the one with most rows.
        others: Other rows of their questions. They run with them.
        pair: Two rows of equal length, if there are any.
        lead: Length in tokens of the prefix of all rows.
    """

    rows: tuple[TokenRow, ...]
    others: tuple[TokenRow, ...]
    pair: tuple[TokenRow, ...]
    lead: int

    @staticmethod
    def of(rows: Sequence[TokenRow]) -> "TrialRows":
        """Choose among the rows of a task or a text.

        Args:
            rows: All rows.

        Returns:
            Those that are tried.
        """
        longest, shortest = max(rows, key=_length), min(rows, key=_length)
        (most, _), *_ = Counter(row.question for row in rows).most_common(1)
        last = [max((row for row in rows if row.question == q), key=_option) for q in (longest.question, most)]
        chosen = tuple(dict.fromkeys((longest, shortest, *last)))
        questions = {row.question for row in chosen}
        others = tuple(row for row in rows if row.question in questions and row not in chosen)
        (usual, _), *_ = Counter(map(_length, rows)).most_common(1)
        pair = tuple(islice((row for row in rows if _length(row) == usual), 2))
        return TrialRows(chosen, others, pair if len(pair) > 1 else (), common(rows) if len(rows) > 1 else 0)

    def batches(self, sharing: Sharing) -> Iterator[Batch]:
        """The rows as they would be run: with the most padding, after the shortest prefix and the longest.

        Args:
            sharing: What rows share.

        Yields:
            Batches.
        """
        if sharing == "alone":
            yield from (Batch((row,)) for row in self.rows)
        elif sharing == "alike":
            for length in dict.fromkeys(map(_length, self.rows)):
                yield Batch(tuple(row for row in self.rows if _length(row) == length))
            if self.pair:
                yield Batch(self.pair)
        elif sharing == "nothing":
            yield Batch(self.rows)
        else:
            branching, compared = sharing == "branches", {row.question for row in self.rows}
            ordered = sorted((*self.rows, *self.others), key=lambda row: (row.question, _option(row)))
            together = [row for row in ordered if row.question in compared and (branching or row in self.rows)]
            yield Batch(tuple(together), self.lead, branching)
            own = [row for row in together if row.question == self.rows[0].question]
            if (lead := common(own)) > self.lead:
                yield Batch(tuple(own), lead, branching)


_known: WeakKeyDictionary[nn.Module, dict[tuple[Sharing, TrialRows], LogitAgreement]] = WeakKeyDictionary()


def of(model: Model, rows: Sequence[TokenRow], what: str = "", note: Note = mute) -> LogitAgreement:
    """Find how to run rows: sharing most, with the network's own logits.

    A few rows are tried, once per network.

    Args:
        model: The model.
        rows: Those of a task or text.
        what: Its name, for `note`.
        note: Is told what is lost.

    Returns:
        How rows are run, and how far their logits are from the network's own.

    Raises:
        ModelError: For a network that is not causal, or whose logits cannot be had block by block.
    """
    trial = TrialRows.of(rows)
    could = _possible(model, trial)
    known = _known.setdefault(model.network, {})
    if (could, trial) not in known:
        known[could, trial] = _found(model, trial, could)
    found = known[could, trial]
    if found.notice:
        note(f"{what}: {found.notice}" if what else found.notice)
    return found


def _possible(model: Model, trial: TrialRows) -> Sharing:
    """What may be tried: what the network shares. Where attention is causal only up to a length, rows share nothing.

    Raises `ModelError` for a longer row.
    """
    most = quirks.causal_up_to(text_config(model.network.config))
    if most is None:
        return model.anatomy.shares
    if (longest := _length(trial.rows[0])) > most:
        raise ModelError(
            f"{type(model.network).__name__} is not causal beyond {most} tokens, and the longest prompt has {longest}: "
            "ask shorter questions, or use fewer --shots; layercliff reads causal (decoder-only) language models."
        )
    return least((model.anatomy.shares, "nothing"))


def least(several: Sequence[Sharing]) -> Sharing:
    """The way to run rows that allows the least sharing.

    Args:
        several: Ways.

    Returns:
        One of them.
    """
    return max(several, key=WAYS.index)


@torch.inference_mode()
def _found(model: Model, trial: TrialRows, could: Sharing) -> LogitAgreement:
    most = tolerance(model.anatomy.dtype, next(model.anatomy.blocks.parameters()).dtype)
    longest, *others = trial.rows
    own = {longest: _causal(model, longest, most)}
    own |= {row: own_logits(model, row.tokens, _places(row)) for row in others}
    lost: dict[Sharing, float] = {}
    allowed = ROUNDING.get(model.dtype, ROUNDING["float32"])
    if model.dtype in NARROW:
        allowed *= 2  # both sides are rounded
    for sharing in WAYS[WAYS.index(could) :]:
        found = _largest(model, trial, sharing, own)
        if found > allowed and not lost:  # what a row by itself differs by, nothing can mend
            allowed = max(allowed, min(most, 2 * _least(model, _largest(model, trial, "alone", own), most)))
        if found <= allowed:
            break
        lost[sharing] = found
    return LogitAgreement(sharing, len(own), _length(longest), found, lost)


def _largest(model: Model, trial: TrialRows, sharing: Sharing, own: dict[TokenRow, Logits]) -> float:
    """The largest difference from the network's `own` logits. Those of further rows are added to them."""
    if sharing == "alike":
        own.update({row: own_logits(model, row.tokens, _places(row)) for row in trial.pair[:1]})
    return max(_differences(model, trial.batches(sharing), own))


def _least(model: Model, difference: float, most: float) -> float:
    """How far rows by themselves differ. Raises `ModelError` where rounding does not explain it."""
    if difference <= most:
        return difference
    raise ModelError(
        f"{type(model.network).__name__} cannot be read block by block: the logits of a row by itself differ from "
        "the network's own "
        f"by {difference:.1e} of their size, and rounding explains {most:.0e}."
    )


def _causal(model: Model, row: TokenRow, allowed: float) -> Logits:
    """The network's own logits of a row. Raises `ModelError` where they change with what follows."""
    read, others = _places(row), _others(model, row.tokens)
    before = _spread(range(max(others, default=0)), BEFORE)
    own = own_logits(model, row.tokens, [*read, *before])
    for kept, tokens in others.items():
        places = [place for place in before if place < kept]
        difference = _difference(own_logits(model, tokens, places), own[len(read) :][: len(places)])
        if difference > allowed:
            raise not_causal(model.network, len(row.tokens), difference)
    return own[: len(read)]


def _others(model: Model, tokens: tuple[int, ...]) -> dict[int, tuple[int, ...]]:
    """Sequences that begin with a prefix of `tokens`, by its length: without the last token, without the last
    quarter.

    Where positions depend on the length of a sequence: one of the same length with another end.
    """
    kept = len(tokens) - max(1, len(tokens) // 4)
    if not kept:
        return {}
    if positions_by_length(model.network):
        vocabulary = model.anatomy.unembedding.vocabulary
        return {kept: (*tokens[:kept], *((token + 7) % vocabulary for token in tokens[kept:]))}
    return {n: tokens[:n] for n in (len(tokens) - 1, kept)}


@torch.inference_mode()
def own_logits(model: Model, tokens: Sequence[int], places: Sequence[int]) -> Logits:
    """The logits of the network's own forward pass of one sequence.

    Args:
        model: The model.
        tokens: Ids of the sequence.
        places: Positions at which the head is run.

    Returns:
        [place vocabulary] In float32.

    Raises:
        ModelError: Where the sequence does not fit in memory, or for logits that are not finite.
    """
    hook = model.anatomy.unembedding.head.register_forward_pre_hook(partial(_only, list(places)))
    try:
        with model.anatomy.computing():
            ids = torch.tensor([list(tokens)], device=model.device)
            logits: Tensor = model.network(input_ids=ids, use_cache=False).logits[0]
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise too_large(model, len(tokens)) from error
    finally:
        hook.remove()
    if not bool(torch.isfinite(logits).all()):
        raise not_finite(model)
    return logits.float()


def _only(places: list[int], _: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inputs of a head at some positions."""
    first, *others = args
    return (first[:, places], *others)


def _differences(model: Model, batches: Iterator[Batch], own: dict[TokenRow, Logits]) -> Iterator[float]:
    """How far the logits of each row are from the network's own."""
    for batch in batches:
        for row, logits in _through_blocks(model, batch):
            if row in own:
                yield _difference(logits, own[row])


def _difference(found: Logits, own: Logits) -> float:
    """The largest difference, as a share of the largest logit. NaN counts as a difference."""
    apart = torch.nan_to_num(found.float()) - own
    return float(apart.abs().max().double() / own.abs().max().double().clamp_min(1e-6))


def _through_blocks(model: Model, batch: Batch) -> Iterator[tuple[TokenRow, Logits]]:
    """The logits of each row at the positions compared, after a blockwise pass."""
    for part, hidden in BatchHalving(lambda _: None, partial(too_large, model)).run(batch, partial(_last, model)):
        yield from _logits(model, part, hidden)


def _last(model: Model, batch: Batch) -> tuple[Batch, Float[Tensor, "row position d"]]:
    """The last depth's states of a batch."""
    with model.anatomy.computing():
        *_, (_, hidden) = model.anatomy.enter(batch.levels(model.device)).depths()
    return batch, hidden


def _logits(model: Model, batch: Batch, hidden: Float[Tensor, "row position d"]) -> Iterator[tuple[TokenRow, Logits]]:
    unembedding = model.anatomy.unembedding
    for row, (sequence, path) in zip(batch.rows, batch.places, strict=True):
        normed = unembedding.normed(hidden[sequence, [path[place - batch.lead] for place in _places(row)]])
        yield row, unembedding.vocabulary_logits(normed, 0, unembedding.vocabulary)


def _length(row: TokenRow) -> int:
    return len(row.tokens)


def _option(row: TokenRow) -> int:
    return row.option or 0


def _places(row: TokenRow) -> list[int]:
    """The positions of a row to compare, among those that are read."""
    return _spread(range(read_from(row), len(row.tokens)))


def _spread(places: range, most: int = PLACES) -> list[int]:
    """At most `most` places, evenly spread, with the first and the last."""
    if len(places) <= most:
        return list(places)
    return [places[round(number * (len(places) - 1) / (most - 1))] for number in range(most)]
