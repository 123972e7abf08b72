"""Rows of a study without its runs: cells whose critical ratio follows the transition depth by a known rule."""

import numpy as np

from layercliff.metrics.forecast import FEATURES
from layercliff.studies.result import Row


def row(model: str, task: str, n: int, transition: int | None, collapse: int | float | None, **more: object) -> Row:
    features = dict.fromkeys(FEATURES, 0.5) | {"transition": (n + 1 if transition is None else transition) / n}
    given = {"defined": True, "removed_at_most": n - 1, "features": features, "format": "letter", "n_layers": n}
    given |= {"collapse_beyond": n - 1 if collapse is None else None} | more
    return Row(
        model, task, "own", "margin", 0, f"cells/{model}/{task}", transition=transition, collapse=collapse, **given
    )  # type: ignore[arg-type]


def table(noise: float, slope: float = -0.8) -> list[Row]:
    """Six models by four tasks."""
    rng = np.random.default_rng(0)
    rows = []
    for m in range(6):
        for t in range(4):
            depth = int(rng.integers(8, 36))
            ratio = 0.9 + slope * depth / 40 + noise * rng.normal()
            rows.append(row(f"m{m}", f"t{t}", 40, depth, int(np.clip(round(40 * ratio), 1, 39))))
    return rows
