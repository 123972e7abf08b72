"""MKA: neighbours whose states share most information become one (Liu et al. 2024, arXiv 2406.16330)."""

import time

import numpy as np
import torch

from layercliff.errors import RunError
from layercliff.metrics import manifold
from layercliff.models.merged_blocks import Linear, linear, mixed
from layercliff.pruning import calibration
from layercliff.pruning.criterion import criterion
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.step import Step

FEWEST = 8  # questions: the geometry of fewer says nothing


@criterion(
    "mka",
    kind="merging",
    about="the neighbours whose states share most information",
    citation="MKA: Liu et al. 2024, arXiv 2406.16330",
    cost="pass",
)
class MKA:
    """Merges the two neighbours l, m with the greatest similarity S_lm into S_lm theta_l + (1 - S_lm) theta_m.

    S_lm is the information that the diffusion maps of the two blocks' outputs share, normalised
    (`layercliff.metrics.manifold`). The published code merges the last two blocks again and again.

    Ours: an output is the deciding token's state. Similarities are those of neighbours in the dense model. A merged
    block has those of its first block on one side and of its last on the other. Of equal ones the later go.
    """

    def __init__(self, given: CriterionInput) -> None:
        self.given = given
        self.passes, self.seconds = 0, 0.0
        self._similarity: dict[int, float] = {}  # of a block with the one before it

    def choose(self, before: Step) -> Step | None:
        """The step in which the most similar neighbours have become one."""
        if not self._similarity:
            begin = time.perf_counter()
            self._similarity = self._similarities()
            self.seconds += time.perf_counter() - begin
        pairs = self.given.neighbours(before.kept)
        if not pairs:
            return None
        scores = {second: self._similarity[second] for _, second in pairs}
        first, gone = max(pairs, key=lambda pair: (scores[pair[1]], pair[1]))
        share = scores[gone]
        parts = [(share, linear(before.blends, first).weights), (1 - share, linear(before.blends, gone).weights)]
        blends = {block: blend for block, blend in before.blends.items() if block != gone}
        return Step(
            tuple(b for b in before.kept if b != gone), (gone,), scores, blends={**blends, first: Linear(mixed(parts))}
        )

    @torch.inference_mode()
    def _similarities(self) -> dict[int, float]:
        """Of every block but the first, with the one before it."""
        n_layers = self.given.model.n_layers
        outputs: list[list[np.ndarray]] = [[] for _ in range(n_layers)]
        for batch in calibration.batches_of(self.given):
            states = calibration.depths(self.given, batch)
            next(states)
            for output, hidden in zip(outputs, states, strict=True):
                output.append(hidden[calibration.deciding(batch)].numpy())
            self.passes += n_layers
        questions = sum(map(len, outputs[0]))
        if questions < FEWEST:
            raise RunError(
                f"MKA compares the geometry of at least {FEWEST} questions, and {questions} are selected on: ask more."
            )
        kernels = [manifold.closeness(manifold.diffusion_map(np.concatenate(output))) for output in outputs]
        return {m: manifold.shared_information(kernels[m - 1], kernels[m]) for m in range(1, n_layers)}
