"""Dense accuracies of the packaged models on the ten benchmarks, zero-shot, as lm-evaluation-harness scores them.

    python docs/results/accuracies.py --out runs/accuracies --model smollm2-135m --limit 500

Each cell is a run directory below OUT, so that an interrupted script goes on where it stopped. The rows of a model
replace those it had in ``accuracies.csv`` beside this file; with ``--table`` nothing is run, and that file is printed
as Markdown. A limit keeps the first questions of a file (of MMLU, of each subject).
"""

import argparse
from pathlib import Path
from typing import Any

import polars as pl

import layercliff
from layercliff.metrics.accuracy import METRICS

TASKS = (
    "arc_easy", "arc_challenge", "hellaswag", "piqa", "winogrande", "boolq", "openbookqa",
    "commonsense_qa", "sciq", "mmlu",
)  # fmt: skip
TABLE = Path(__file__).with_suffix(".csv")


def cell(model: str, loaded: layercliff.Model, task: str, dtype: str, limit: int | None, out: Path) -> dict[str, Any]:
    """One model on one task."""
    out /= f"{model}-{task}-{limit or 'all'}"
    found = layercliff.evaluate(loaded, task, limit=limit, dtype=dtype, out=out)
    (name,) = found.scores
    row: dict[str, Any] = {"model": model, "task": task, "n": len(found.questions), "limit": limit, "dtype": dtype}
    for metric in METRICS:
        score = found.scores[name][metric]
        row |= {metric: round(score.value, 4), f"{metric}_stderr": round(score.stderr_clustered, 4)}
        row |= {f"{metric}_low": round(score.low, 4), f"{metric}_high": round(score.high, 4)}
    return row


def markdown(table: pl.DataFrame) -> str:
    """A row for each task and model."""

    def score(row: dict[str, Any], metric: str) -> str:
        return f"{row[metric]:.3f} [{row[f'{metric}_low']:.3f}, {row[f'{metric}_high']:.3f}]"

    lines = ["| task | model | dtype | questions | acc | acc_norm |", "|---|---|---|---|---|---|"]
    for task in TASKS:
        for row in table.filter(task=task).iter_rows(named=True):
            of = " of each subject" if task == "mmlu" else ""
            asked = f"all {row['n']}" if row["limit"] is None else f"the first {row['limit']}{of}"
            lines.append(
                f"| {task} | {row['model']} | {row['dtype']} | {asked} | "
                f"{score(row, 'acc')} | {score(row, 'acc_norm')} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/accuracies"))
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--limit", type=int, help="questions of each task (default: all)")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        print(markdown(pl.read_csv(TABLE)))
        return
    loaded = layercliff.load(arguments.model, dtype=arguments.dtype)
    rows = []
    for task in arguments.tasks.split(","):
        rows.append(cell(arguments.model, loaded, task, arguments.dtype, arguments.limit, arguments.out))
        print(rows[-1], flush=True)
    table = pl.DataFrame(rows, schema_overrides={"limit": pl.Int64})
    if TABLE.exists():
        new = pl.struct("model", "task").is_in([{"model": row["model"], "task": row["task"]} for row in rows])
        table = pl.concat([pl.read_csv(TABLE, schema_overrides={"limit": pl.Int64}).filter(~new), table])
    table.sort("model", "task").write_csv(TABLE)


if __name__ == "__main__":
    main()
