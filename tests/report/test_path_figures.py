"""What a path's figures call its steps."""

from dataclasses import replace

import made

from layercliff.pruning import figures as path_figures
from layercliff.pruning.result import Pruned


def margins(pruned: Pruned) -> tuple[list[str], str]:
    """The legend and the caption of the margin curves."""
    (figure,) = (figure for figure in path_figures.figures(pruned) if figure.name.endswith("-margins"))
    return figure.sized(600)["layer"][2]["encoding"]["color"]["scale"]["domain"], figure.caption


def test_steps_are_named_by_the_blocks_that_are_gone() -> None:
    """Of which a step may take several."""
    pruned = made.pruned()
    light, heavy = pruned.light_and_heavy
    assert heavy == 3
    assert pruned.gone(heavy) == 4
    names, caption = margins(pruned)
    assert names == ["dense", f"{pruned.gone(light)} removed", "4 removed"]
    assert f": {', '.join(names)}." in caption


def test_a_light_step_that_is_the_heavy_one_is_drawn_once() -> None:
    whole = made.pruned()
    short = replace(whole, steps=whole.steps[:2], traces=whole.traces[:2], watched=(), others=())
    assert short.light_and_heavy == (1,)
    names, caption = margins(short)
    assert names == ["dense", "1 removed"]
    assert ": dense, 1 removed. Dashed" in caption
