"""What decisions by the sum say of a cloze task, and what decisions by characters said.

Writes normalisations.csv and prints it as a Markdown table. Traces in the output directory are kept.
"""

import argparse
from pathlib import Path

import polars as pl

import layercliff
from layercliff.choices import Normalisation
from layercliff.metrics.phases import Transition

READ: tuple[Normalisation, ...] = ("sum", "char")
MODELS = ("gemma-3-270m", "smollm2-135m", "qwen2.5-coder-0.5b")


def row(model: str, task: str, limit: int, out: Path) -> list[dict[str, object]]:
    """A trace read by the sum, and by characters."""
    traced = layercliff.trace(model, task, format="cloze", limit=limit, out=out / f"{model}-{task}")
    found: list[dict[str, object]] = []
    for by in READ:
        main = traced.by(by).main
        margin, accuracy = main.margin, main.accuracy
        found.append(
            {
                "model": model,
                "task": task,
                "n": main.n_questions,
                "decisions by": by,
                "T": depth(main.transition),
                "undecided": round(main.transition.undecided_share, 4),
                "T by sign": depth(main.by_sign),
                "T_half": depth(main.half) if main.jump.shown else f"not shown (p = {main.jump.p:.2g})",
                "margin": f"{margin.point[-1]:+.2f} [{margin.low[-1]:+.2f}, {margin.high[-1]:+.2f}]",
                "accuracy": f"{accuracy.point[-1]:.2f} [{accuracy.low[-1]:.2f}, {accuracy.high[-1]:.2f}]",
                "chance": round(main.chance, 3),
            }
        )
    return found


def depth(found: Transition) -> str:
    """A boundary with its interval."""
    ends = "-".join("none" if end == float("inf") else f"{end:.0f}" for end in (found.low, found.high))
    return f"{'none' if found.depth is None else found.depth} [{ends}]"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="Where the traces are kept.")
    parser.add_argument("--task", default="arc_easy")
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--models", default=",".join(MODELS))
    given = parser.parse_args()
    rows = [one for model in given.models.split(",") for one in row(model, given.task, given.limit, given.out)]
    pl.DataFrame(rows).write_csv(Path(__file__).with_suffix(".csv"))
    print("|", " | ".join(rows[0]), "|")
    print("|", "---|" * len(rows[0]))
    for one in rows:
        print("|", " | ".join(map(str, one.values())), "|")
