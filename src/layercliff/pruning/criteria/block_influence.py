"""ShortGPT: the block that turns the state least goes first (Men et al. 2024)."""

from collections.abc import Mapping

import numpy as np
import torch

from layercliff.pruning import calibration
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.one_shot import one_shot


@one_shot(
    "block_influence",
    about="the block that turns the state least",
    citation="ShortGPT: Men et al. 2024, arXiv 2403.03853",
    cost="pass",
)
@torch.inference_mode()
def block_influence(given: CriterionInput) -> tuple[Mapping[int, float], int]:
    """Minus the Block Influence BI_b = 1 - mean over tokens of cos(h_b, h_{b+1}) (Men et al. 2024, eq. 1).

    Computed in float32. The last block's output is taken before the final norm.
    """
    total = np.zeros(given.model.n_layers)
    tokens = passes = 0
    for batch in calibration.batches_of(given):
        mask = calibration.tokens(batch)
        states = (hidden[mask] for hidden in calibration.depths(given, batch))
        before = next(states)
        for block, after in enumerate(states):
            total[block] += float((1 - torch.cosine_similarity(before, after, dim=-1)).double().sum())
            before = after
        tokens += int(mask.sum())
        passes += given.model.n_layers
    return {block: -float(value) / tokens for block, value in enumerate(total)}, passes
