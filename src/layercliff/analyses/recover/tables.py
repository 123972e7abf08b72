"""The tables of steps before and after training."""

from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from layercliff.analyses.recover.result import Recovered


def table(found: "Recovered") -> pl.DataFrame:
    """One row per task, step, training (or none) and depth: margin and accuracy.

    They have intervals over questions and the range over seeds. A depth is given by its number of blocks in the step's
    own model and in the dense one.
    """
    frames = []
    for name, keep in found.parts():
        resamples = found.resamples(keep)
        for step in found.steps:
            for is_trained, traces in ((False, (found.untrained[step],)), (True, found.trained[step])):
                of = found.curves(name, keep, traces, resamples)
                columns: dict[str, Any] = {
                    "task": name,
                    "step": step,
                    "removed": found.gone(step),
                    "place": found.place(step),
                    "trained": is_trained,
                    "seeds": len(traces) * is_trained,
                    "depth": range(len(found.kept(step)) + 1),
                    "dense": [0, *(block + 1 for block in found.kept(step))],
                    "n": int(keep.sum()),
                }
                for label, values, seeds in (
                    ("margin", of.margin, of.margin_seeds),
                    ("accuracy", of.accuracy, of.accuracy_seeds),
                ):
                    columns |= {label: values.point, f"{label}_low": values.low, f"{label}_high": values.high}
                    columns |= {f"{label}_seed_least": seeds[0], f"{label}_seed_greatest": seeds[1]}
                frames.append(pl.DataFrame(columns))
    return pl.concat(frames)


def ends(found: "Recovered") -> pl.DataFrame:
    """One row per task and step: the last depth and T before and after training, and what training changed.

    `from_dense` columns say what is missing to the dense model with the same training.
    """
    rows = []
    for name, keep in found.parts():
        resamples, chance = found.resamples(keep), found.chance(name)
        for step in found.steps:
            row: dict[str, Any] = {
                "task": name,
                "step": step,
                "removed": found.gone(step),
                "place": found.place(step),
                "n": int(keep.sum()),
                "chance": chance,
            }
            for when, traces in (("before", (found.untrained[step],)), ("after", found.trained[step])):
                of = found.curves(name, keep, traces, resamples)
                row |= {f"transition_{when}": of.transition.depth, f"undecided_{when}": of.transition.undecided_share}
                for label, values in (("margin", of.margin), ("accuracy", of.accuracy)):
                    row |= {
                        f"{label}_{when}{end}": float(getattr(values, side)[-1])
                        for end, side in (("", "point"), ("_low", "low"), ("_high", "high"))
                    }
            rows.append(row | found.gained(step, keep, resamples))
    schema = {"transition_before": pl.Int64, "transition_after": pl.Int64}
    return pl.DataFrame(rows, schema_overrides=schema, infer_schema_length=None)
