"""Racing: drop candidates that are surely worse than the leader before all questions have been asked of them.

The questions of the ``select`` half are a finite set, asked in a random order in a few looks. At each look, every
candidate still running is compared with the leader by the paired differences of its questions. It is dropped where a
one-sided t bound on its mean difference over the *whole* set, corrected for a finite set, lies above 0.

The candidate that would win on the whole set is lost only if one of these bounds fails against one of the others. So
the level of each is the family-wise error divided by looks, other candidates and steps. (Maron & Moore 1994 race with
Hoeffding's bound, which is far too wide for a few hundred questions.)
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import t as student

from layercliff.random_streams import RandomStream, generator

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)  # of the questions, seen at each look
FEWEST = 24  # units at the first look: a t bound of fewer is not to be trusted


def looks(units: int, seed: int) -> list[Int[np.ndarray, " unit"]]:
    """The units in random order, cut into what each look adds."""
    order = generator(RandomStream.RACE, seed).permutation(units)
    ends = sorted({min(units, max(FEWEST, round(share * units))) for share in SHARES})
    return [np.sort(part) for part in np.split(order, ends[:-1])]


def level(delta: float, candidates: int, n_looks: int, steps: int) -> float:
    """The error that one comparison may have, for the whole path to have at most `delta`.

    The last look compares nothing.
    """
    return delta / max(1, (candidates - 1) * (n_looks - 1) * steps)


def survivors(values: Float[np.ndarray, "candidate seen"], units: int, alpha: float) -> Bool[np.ndarray, " candidate"]:
    """Which candidates are not surely worse than the leader, given their `values` on some of all `units`."""
    seen = values.shape[1]
    leader = int(values.mean(1).argmax())
    worse = values[leader] - values
    # one unit's worth of variance is added: differences that happen to be equal so far are not certain
    spread = np.sqrt((worse.var(1, ddof=1) + (worse**2).max(1) / seen) / seen * (1 - seen / units))
    bound = worse.mean(1) - student.ppf(1 - alpha, seen - 1) * spread
    return np.asarray(~(bound > 0))


def refusal(tasks: int) -> str | None:
    """Why so many tasks cannot be raced, or None."""
    if tasks == 1:
        return None
    return (
        f"A race compares candidates on one task, and {tasks} were given (their scores are standardised over all "
        "candidates): leave out --race, or name one task."
    )
