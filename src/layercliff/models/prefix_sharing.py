"""What rows of a network may share, found by a trial run: a prefix, or a prefix and branches."""

from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache

from layercliff.choices import Sharing
from layercliff.models.block_interface import BlockCall
from layercliff.models.blockwise_pass import Segment, TreeMask
from layercliff.models.precision import TOLERANCE

if TYPE_CHECKING:
    from layercliff.models.anatomy import Anatomy

LEAD = 3  # tokens
STEM = [0, 1, 2, 3, 4]  # places after them
BRANCHES = [[0, 1, 2, 3], [0, 1, 4, 5, 6]]


def tried(anatomy: "Anatomy") -> Sharing:
    """What rows of a network with a key-value cache may share."""
    if not _holds(anatomy, None):
        return "nothing"
    return "branches" if _holds(anatomy, _tree(next(anatomy.backbone.parameters()).device)) else "lead"


@torch.inference_mode()
def _holds(anatomy: "Anatomy", tree: TreeMask | None) -> bool:
    """Whether a sequence run in parts ends in the states of the sequence run whole."""
    device = next(anatomy.backbone.parameters()).device
    ids = torch.arange(3, 13, device=device)[None] % anatomy.unembedding.vocabulary
    branches = [STEM] if tree is None else BRANCHES
    places = sorted({place for branch in branches for place in branch})
    try:
        with anatomy.computing():
            lead, rest = Segment(ids[:, :LEAD]), ids[:, LEAD:][:, places]
            levels = anatomy.enter((lead, Segment(rest, torch.zeros(1, dtype=torch.long, device=device), tree)))
            if any(not _takes_cache(call) for calls in levels.calls for call in calls):
                return False
            *_, (_, found) = levels.depths()
            for branch in branches:
                sequence = torch.cat([ids[:, :LEAD], ids[:, LEAD:][:, branch]], 1)
                *_, (_, whole) = anatomy.enter(sequence).depths()
                difference = (found[:, branch] - whole[:, LEAD:]).abs().max()
                if not float(difference / whole.abs().max().clamp_min(1e-6)) < TOLERANCE[anatomy.dtype]:
                    return False
    except (AttributeError, IndexError, TypeError, ValueError, RuntimeError):  # its own code knows no such cache
        return False
    return True


def _tree(device: torch.device) -> TreeMask:
    """The tokens of both `BRANCHES` as one row."""
    sees = torch.eye(7, dtype=torch.bool)
    positions = torch.zeros(1, 7, dtype=torch.long)
    for branch in BRANCHES:
        for number, place in enumerate(branch):
            positions[0, place] = LEAD + number
            sees[place, branch[: number + 1]] = True
    return TreeMask(positions.to(device), sees[None].to(device))


def _takes_cache(call: BlockCall) -> bool:
    _, args, kwargs = call
    return any(isinstance(value, DynamicCache) for value in (*args, *kwargs.values()))
