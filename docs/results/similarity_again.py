"""C5 of a cell by itself, beside the rows of ``verdicts.csv``: path by margin, similarity at its collapse, verdict.

    python docs/results/similarity_again.py --model qwen2.5-coder-0.5b --task cities --limit 300 --dtype bfloat16

The settings are those of ``layercliff claims``. The run directory is new: nothing in it is resumed.
"""

import argparse
import tempfile
import time
from pathlib import Path

import polars as pl

import layercliff
from layercliff.paper_claims import verdicts
from layercliff.paper_claims.c05_similarity import SIMILAR
from layercliff.paper_claims.evidence import Evidence
from layercliff.paper_claims.subsets.run import RACE

TABLE = Path(__file__).with_name("verdicts.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gemma-3-270m")
    parser.add_argument("--task", default="capitals")
    parser.add_argument("--format", choices=["first_token", "letter", "cloze"], help="default: the task's own")
    parser.add_argument("--limit", type=int, help="questions of the task (default: all)")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--out", type=Path, help="a new directory to keep the run in (default: it is not kept)")
    given = parser.parse_args()
    begun = time.monotonic()
    model = layercliff.load(given.model, dtype=given.dtype)
    with tempfile.TemporaryDirectory() as scratch:
        out = given.out or Path(scratch) / "run"
        if out.exists():
            parser.error(f"{out} exists: name a new directory, so that nothing is resumed")
        options = {"format": given.format, "limit": given.limit, "dtype": given.dtype, "out": out}
        traced = layercliff.trace(model, given.task, **options)
        path = layercliff.prune(model, given.task, criterion="margin", race=RACE, assess=False, **options)
        found = Evidence(traced, path)
        if found.no_collapse is not None:
            print(found.no_collapse)
            return
        step = found.collapse.step
        similar = layercliff.similarity(model, given.task, criterion="margin", steps=[step - 1, step], **options)
        verdict = verdicts.judge(Evidence(traced, path, {SIMILAR: similar}))["C5"]
    (about,) = traced.trace.tasks.values()
    cell = (pl.col("model") == given.model) & (pl.col("task") == given.task) & (pl.col("format") == about.form)
    print(f"{given.model} {given.task} {about.form}: collapse at step {step}; C5 {verdict.verdict}; {verdict.reason}")
    for part in verdict.parts:
        kept = pl.read_csv(TABLE).filter(cell & (pl.col("what") == part.what)).select("measured", "low", "high").rows()
        print(f"  {part.what}: {part.measured:.4f} [{part.low:.4f}, {part.high:.4f}], n = {part.n}; table: {kept}")
    print(f"  {verdict.control}\n  {(time.monotonic() - begun) / 60:.1f} minutes", flush=True)


if __name__ == "__main__":
    main()
