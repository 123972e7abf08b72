"""Whether one quantity falls as another rises within tasks: a permutation test that keeps models whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from math import factorial

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from layercliff.metrics.association import SHOWN
from layercliff.metrics.statistics import TAIL
from layercliff.random_streams import RandomStream, generator

DRAWN = 9_999  # orders of models, where there are more
ROUNDING = 1e-9

Cells = Float[np.ndarray, "model task"]


@dataclass(frozen=True)
class WithinTasks:
    """The mean of Spearman's correlations within tasks, against orders in which models exchange their second quantity.

    A study's models share its tasks. A model keeps its values of all tasks when it is exchanged.

    Attributes:
        models: Models that take part.
        tasks: Tasks that take part: every such model has both quantities there.
        correlation: The mean within-task correlation. None where no task takes part or models are fewer than two.
        p_falls: Share of orders with a correlation as low.
        p_rises: Share of orders with one as high.
        least_p: The least that either can be.
        without_model: Models that lack a quantity on every task, and take no part.
        without_task: Tasks left out, each with the models that lack a quantity there; none where a side does not vary.
    """

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    correlation: float | None
    p_falls: float
    p_rises: float
    least_p: float
    without_model: tuple[str, ...]
    without_task: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def falls(self) -> bool | None:
        """Whether one falls as the other rises: True, False where it rises, None where neither is shown.

        Either is at 2.5 %. With fewer than six models nothing is.
        """
        if len(self.models) < SHOWN or self.correlation is None:
            return None
        return True if self.p_falls <= TAIL else False if self.p_rises <= TAIL else None


def within_tasks(x: Cells, y: Cells, models: Sequence[str], tasks: Sequence[str], seed: int = 0) -> WithinTasks:
    """Test whether `y` falls as `x` rises over models, task by task.

    All orders of models are taken where they are few, else 9,999 drawn ones and the one that is.

    Args:
        x: [model task] First quantity. nan where it is not known.
        y: [model task] Second quantity.
        models: Names of the rows.
        tasks: Names of the columns.
        seed: Decides the orders drawn.

    Returns:
        The mean within-task correlation, with its p-values.
    """
    known = np.isfinite(x) & np.isfinite(y)
    rows = known.any(1)
    whole = known[rows].all(0) if rows.any() else np.zeros(len(tasks), bool)
    names = [model for model, kept in zip(models, rows, strict=True) if kept]
    a, b = (_standard(values[np.ix_(rows, whole)]) for values in (x, y))
    varies = np.isfinite(a).all(0) & np.isfinite(b).all(0) & (len(names) > 1)
    lacking = {
        task: tuple(m for m, has in zip(names, known[rows, j], strict=True) if not has) for j, task in enumerate(tasks)
    }
    kept = [task for task, use in zip(np.asarray(tasks)[whole], varies, strict=True) if use]
    correlation, falls, rises, least = _permuted(a[:, varies] @ b[:, varies].T / max(len(kept), 1), seed)
    return WithinTasks(
        tuple(names),
        tuple(map(str, kept)),
        correlation if kept else None,
        falls,
        rises,
        least,
        tuple(model for model, has in zip(models, rows, strict=True) if not has),
        tuple((task, of) for task, of in lacking.items() if task not in kept),
    )


def _standard(values: Cells) -> Cells:
    """Ranks within each task, centred and of length 1. nan where they do not vary."""
    ranks = rankdata(values, axis=0) if values.size else values
    centred = ranks - ranks.mean(0) if values.size else ranks
    length = np.sqrt((centred**2).sum(0))
    return np.asarray(np.divide(centred, length, out=np.full_like(centred, np.nan), where=length > 0))


def _permuted(products: Float[np.ndarray, "model model"], seed: int) -> tuple[float, float, float, float]:
    """The correlation, the shares of orders with one as low and as high, and the least that these can be."""
    n = len(products)
    found = products[np.arange(n), _orders(n, seed)].sum(1)
    own = float(np.trace(products))
    falls, rises = (float((side * found <= side * own + ROUNDING).mean()) for side in (1, -1))
    ends = (np.abs(found - end) <= ROUNDING for end in (found.min(), found.max()))
    return own, falls, rises, min(float(end.mean()) for end in ends)


def _orders(n: int, seed: int) -> Int[np.ndarray, "order model"]:
    """Orders of models, the one that is among them."""
    if factorial(n) <= DRAWN:
        return np.array(list(permutations(range(n))), int).reshape(factorial(n), n)
    drawn = generator(RandomStream.PERMUTED_MODELS, seed).permuted(np.tile(np.arange(n), (DRAWN, 1)), axis=1)
    return np.concatenate([np.arange(n)[None], drawn])
