"""Block influence of a model in bfloat16 is computed in float32: near 1, a cosine in bfloat16 resolves nothing."""

from itertools import pairwise

import numpy as np
import torch
from test_ranked import brief, silenced
from test_ranked import network as toy

from layercliff.pruning import calibration
from layercliff.pruning.criteria.block_influence import block_influence
from layercliff.tasks.question import Task


def test_block_influence_of_a_narrow_model_is_computed_wide(colours: Task) -> None:
    """Of blocks that write a little, 1 - cos is far below the 0.004 that bfloat16 resolves near 1.

    The oracle is float64 over the same states.
    """
    model = toy()
    with torch.no_grad():
        for block in model.model.layers:  # type: ignore[union-attr]
            block.self_attn.o_proj.weight.mul_(0.01)
            block.mlp.down_proj.weight.mul_(0.01)
    given = brief(silenced(model, 3).to(torch.bfloat16), colours)
    assert given.model.dtype == "bfloat16"
    found, _ = block_influence(given)
    total, tokens = np.zeros(given.model.n_layers), 0
    for batch in calibration.batches_of(given):
        mask = calibration.tokens(batch)
        with torch.inference_mode():
            passage = given.model.anatomy.enter(batch.levels(given.model.device))
            states = [hidden.double()[mask] for _, hidden in passage.depths()]
        for block, (before, after) in enumerate(pairwise(states)):
            total[block] += float((1 - torch.cosine_similarity(before, after, dim=-1)).sum())
        tokens += int(mask.sum())
    wanted = total / tokens
    assert 0 < np.median(wanted) < 2**-8
    np.testing.assert_allclose([-found[block] for block in range(len(wanted))], wanted, rtol=1e-2, atol=3e-7)
