"""The run of blocks across which the decision token turns least goes (Gromov et al. 2024)."""

import time

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from layercliff.pruning import calibration
from layercliff.pruning.criterion import criterion
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.step import Step


@criterion(
    "angular",
    kind="contiguous",
    about="the run of blocks across which the decision token turns least",
    citation="Gromov et al. 2024, arXiv 2403.17887",
    cost="pass",
)
class AngularDistance:
    """Removes the n consecutive blocks between whose ends the decision token's state turns least, for n = 1, 2, ...

    d = arccos(cos(h_l, h_{l+n})) / pi, averaged over questions (Gromov et al. 2024, eq. 7). Steps need not nest.
    Of equal runs the first goes. A run is named by its first block.
    """

    def __init__(self, given: CriterionInput) -> None:
        self.given = given
        self.passes, self.seconds = 0, 0.0
        self._distance: np.ndarray | None = None

    def choose(self, before: Step) -> Step | None:
        """The best run of one block more than the step before has lost."""
        n_layers = self.given.model.n_layers
        n = n_layers - len(before.kept) + 1
        if self._distance is None:
            begin = time.perf_counter()
            self._distance, self.passes = angular_distances(self.given)
            self.seconds = time.perf_counter() - begin
        starts = [s for s in range(n_layers - n + 1) if not set(range(s, s + n)) & set(self.given.protected)]
        if not starts or n >= n_layers:
            return None
        scores = {s: -float(self._distance[s, s + n]) for s in starts}
        start = max(starts, key=lambda s: (scores[s], -s))
        kept = tuple(b for b in range(n_layers) if not start <= b < start + n)
        return Step(kept, tuple(sorted(set(before.kept) - set(kept))), scores)


@torch.inference_mode()
def angular_distances(given: CriterionInput) -> tuple[Float[np.ndarray, "depth depth"], int]:
    """Mean angular distances between all depths of the position that decides, and the block passes they took."""
    n = given.model.n_layers
    total, rows, passes = np.zeros((n + 1, n + 1)), 0, 0
    for batch in calibration.batches_of(given):
        deciding = calibration.deciding(batch)
        states: list[Tensor] = [hidden[deciding] for hidden in calibration.depths(given, batch)]
        unit = torch.nn.functional.normalize(torch.stack(states).double(), dim=-1)
        cosine = torch.einsum("lid,mid->lmi", unit, unit).clamp(-1, 1)
        total += (cosine.arccos() / torch.pi).sum(-1).numpy()
        rows += len(batch.rows)
        passes += n
    return total / rows, passes
