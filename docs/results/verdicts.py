"""The verdicts on the paper's claims for packaged models and tasks.

    python docs/results/verdicts.py --out runs/verdicts --model gemma-3-270m --tasks capitals,cities --limit 300

Each cell is a run directory below OUT, so that an interrupted script goes on where it stopped. The rows of a cell
replace those it had in ``verdicts.csv`` beside this file, which holds every part of every claim; a line for each cell
is printed as Markdown. A limit keeps as many questions of a task, drawn by the seed.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

import layercliff
from layercliff.paper_claims.result import Claimed

TABLE = Path(__file__).with_suffix(".csv")
WORDS = {"supported": "yes", "contradicted": "**no**", "undecided": "?"}
CELL = ("model", "task", "format")
TYPES = (
    dict.fromkeys(("what", "answer", "control", "reason"), pl.String)
    | dict.fromkeys(("measured", "low", "high", "claimed_above", "claimed_below"), pl.Float64)
    | dict.fromkeys(("n", "questions_needed"), pl.Int64)
)


def rows(cell: dict[str, Any], found: Claimed) -> Iterator[dict[str, Any]]:
    """A row for each part of each claim, one for a claim that was not measured."""
    for verdict in found.verdicts:
        said = {"claim": verdict.id, "verdict": verdict.verdict}
        for part in verdict.parts or (None,):
            numbers = {
                name: getattr(part, name, None)
                for name in ("what", "measured", "low", "high", "n", "answer", "questions_needed")
            }
            least, most = part.claimed if part else (None, None)
            ends = {"claimed_above": least, "claimed_below": most}
            yield cell | said | numbers | ends | {"control": verdict.control, "reason": verdict.reason}


def line(cell: dict[str, Any], found: Claimed) -> str:
    """A line of the Markdown table."""
    answers = " | ".join(WORDS[verdict.verdict] for verdict in found.verdicts)
    return f"| {' | '.join(str(value) for value in cell.values())} | {answers} |"


def kept(new: pl.DataFrame) -> pl.DataFrame:
    """The rows of other cells in the table."""
    if not TABLE.exists():
        return new.clear()
    return pl.read_csv(TABLE, schema=new.schema).join(new.select(CELL).unique(), on=CELL, how="anti")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/verdicts"))
    parser.add_argument("--model", default="gemma-3-270m")
    parser.add_argument("--tasks", default="capitals,cities,arc_easy,arc_challenge", help="joined by commas")
    parser.add_argument("--format", choices=["first_token", "letter", "cloze"], help="default: each task's own")
    parser.add_argument("--limit", type=int, help="questions of each task (default: all)")
    parser.add_argument("--dtype", default="float32")
    given = parser.parse_args()
    model = layercliff.load(given.model, dtype=given.dtype)
    lines = []
    for task in given.tasks.split(","):
        out = given.out / f"{given.model}-{task}-{given.format or 'own'}-{given.limit or 'all'}"
        options = {"format": given.format, "limit": given.limit, "dtype": given.dtype}
        found = layercliff.claims(model, task, out=out, **options)
        traced = layercliff.trace(model, task, out=out, **options)
        (about,) = traced.trace.tasks.values()
        cell = {"model": given.model, "task": task, "format": about.form, "questions": traced.main.n_questions}
        cell["T"] = f"{'-' if traced.transition_depth is None else traced.transition_depth} of {traced.trace.n_layers}"
        table = pl.DataFrame(list(rows(cell, found)), infer_schema_length=None, schema_overrides=TYPES)
        pl.concat([kept(table), table]).sort(CELL, maintain_order=True).write_csv(TABLE)
        lines.append(line(cell, found))
        print(lines[-1], flush=True)
    print("\n".join(["", *lines]))


if __name__ == "__main__":
    main()
