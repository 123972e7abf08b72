"""Option frequency: which answers win, whatever the question, and how far that is from the gold answers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse

from layercliff.choices import Format
from layercliff.metrics.decision import Scores
from layercliff.metrics.intervals import inflation, share_quantile, wilson
from layercliff.metrics.prediction_bias import PredictionBias, prediction_bias
from layercliff.metrics.statistics import Resamples
from layercliff.tasks.question import LETTERS, Question

RARE = "(all options offered once)"


@dataclass(frozen=True)
class Categories:
    """The categories that answers are counted by.

    Attributes:
        labels: Their names: letters, or option strings.
        index: [question option] The option's category. -1 where it is absent.
        counted: [question] False for an unusual number of options, where positions are the categories.
    """

    labels: tuple[str, ...]
    index: Int[np.ndarray, "question option"]
    counted: Bool[np.ndarray, " question"]


@dataclass(frozen=True)
class OptionFrequency:
    """OF_l(c): the share of questions whose argmax at depth l is in category c.

    Intervals are at 95 %.

    Attributes:
        labels: [category] Names.
        share: [depth category] OF_l(c), in [0, 1].
        low: [depth category] Lower end of its interval.
        high: [depth category] Upper end.
        offered: [category] Share of questions that offer c.
        gold: [category] Share of questions whose gold is in c.
        n_counted: Number of questions counted.
        kl: KL(OF_l || gold) by depth, in nats.
        js: Jensen-Shannon divergence of OF_l and gold by depth, in nats.
    """

    labels: tuple[str, ...]
    share: Float[np.ndarray, "depth category"]
    low: Float[np.ndarray, "depth category"]
    high: Float[np.ndarray, "depth category"]
    offered: Float[np.ndarray, " category"]
    gold: Float[np.ndarray, " category"]
    n_counted: int
    kl: PredictionBias
    js: PredictionBias


def categories(questions: Sequence[Question], form: Format) -> Categories:
    """Make categories by position (*letter*) or by option string.

    Positions are counted among questions of the most common number of options. Strings offered once are pooled.

    Args:
        questions: Questions of one task.
        form: The task's format.

    Returns:
        The categories.
    """
    most = max(len(q.options) for q in questions)
    if form == "letter":
        usual = Counter(len(q.options) for q in questions).most_common(1)[0][0]
        index = np.array([[k if k < len(q.options) else -1 for k in range(most)] for q in questions])
        return Categories(tuple(LETTERS[:usual]), index, np.array([len(q.options) == usual for q in questions]))
    offered = Counter(option for q in questions for option in q.options)
    labels = sorted((o for o, count in offered.items() if count > 1), key=lambda o: (-offered[o], o))
    number = {label: i for i, label in enumerate(labels)}
    if len(labels) < len(offered):
        labels.append(RARE)
    rare = len(labels) - 1
    index = np.array(
        [[number.get(q.options[k], rare) if k < len(q.options) else -1 for k in range(most)] for q in questions]
    )
    return Categories(tuple(labels), index, np.ones(len(questions), dtype=bool))


def option_frequency(
    votes: Scores, gold: Int[np.ndarray, " question"], kinds: Categories, resamples: Resamples, seed: int
) -> OptionFrequency:
    """Count the votes at every depth by category, with intervals.

    Args:
        votes: [depth question option] Shares of the argmax.
        gold: [question] Index of the right option.
        kinds: What is counted.
        resamples: Resamples of these questions.
        seed: Decides the draws of a model without preference.

    Returns:
        Shares by depth and category, and their divergence from the golds.
    """
    depths, n_categories = len(votes), len(kinds.labels)
    rows, columns = np.nonzero((kinds.index >= 0) & kinds.counted[:, None])
    category = kinds.index[rows, columns]
    weight = kinds.counted.astype(np.float64)
    sizes = np.bincount(resamples.index, weight, resamples.groups)
    counts = partial(_counted, category=category, group=resamples.index[rows], shape=(resamples.groups, n_categories))
    per_question = partial(_counted, category=category, group=rows, shape=(len(weight), n_categories))
    totals, low, high = np.zeros((3, depths, n_categories))
    is_gold = (columns == gold[rows]).astype(np.float64)
    n = weight.sum()
    gold_total = np.asarray(counts(is_gold).sum(0)).ravel()
    for depth in range(depths):
        table = counts(votes[depth, rows, columns])
        totals[depth] = np.asarray(table.sum(0)).ravel()
        share = totals[depth] / n
        squares = per_question(votes[depth, rows, columns]).power(2).sum(0)
        n_effective = _effective(table.toarray(), squares, sizes, share)
        low[depth], high[depth] = wilson(share, n_effective, share_quantile(resamples))
    offered = np.asarray(counts(np.ones(len(rows))).sum(0)).ravel() / n
    asked = np.flatnonzero(kinds.counted)
    accuracy = votes[:, asked, gold[asked]].mean(1)
    kl, js = prediction_bias(totals, accuracy, kinds.index[asked], gold[asked], seed)
    return OptionFrequency(kinds.labels, totals / n, low, high, offered, gold_total / n, int(n), kl, js)


def _counted(
    values: Float[np.ndarray, " entry"],
    category: Int[np.ndarray, " entry"],
    group: Int[np.ndarray, " entry"],
    shape: tuple[int, int],
) -> sparse.csr_array:
    """The sum of values by group and category."""
    return sparse.csr_array((values, (group, category)), shape=shape)


def _effective(
    by_group: Float[np.ndarray, "group category"],
    squares: Float[np.ndarray, " category"],
    sizes: Float[np.ndarray, " group"],
    share: Float[np.ndarray, " category"],
) -> Float[np.ndarray, " category"]:
    """`effective_questions` of every category's share, from sums by group and from squares summed over questions."""
    n = sizes.sum()
    together = ((by_group - sizes[:, None] * share) ** 2).sum(0)
    return np.asarray(n / inflation(together, squares - n * share**2, sizes, share))
