"""Transition depths of the packaged models on the embedded tasks, over several draws of the distractors.

    python docs/results/transition_depths.py --out runs/results

Each cell is a run directory below OUT, so that an interrupted script goes on where it stopped; the table is written to
``transition_depths.csv`` beside this file and printed as Markdown.
"""

import argparse
from pathlib import Path

import polars as pl

import layercliff

MODELS = ("gemma-3-270m", "smollm2-135m", "qwen2.5-coder-0.5b")
CELLS = [("capitals", seed) for seed in range(4)] + [("cities", 0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/results"))
    out: Path = parser.parse_args().out
    rows = []
    for model in MODELS:
        loaded = layercliff.load(model)
        for task, seed in CELLS:
            main = layercliff.trace(loaded, task, seed=seed, out=out / f"{model}-{task}-{seed}").main
            rows.append(
                {
                    "model": model,
                    "task": task,
                    "seed": seed,
                    "n": main.n_questions,
                    "blocks": main.n_layers,
                    "T": main.transition.depth,
                    "T_low": main.transition.low,
                    "T_high": main.transition.high,
                    "undecided_share": main.transition.undecided_share,
                    "DM": round(float(main.margin.point[-1]), 3),
                    "DM_low": round(float(main.margin.low[-1]), 3),
                    "DM_high": round(float(main.margin.high[-1]), 3),
                    "accuracy": round(float(main.accuracy.point[-1]), 3),
                    "accuracy_low": round(float(main.accuracy.low[-1]), 3),
                    "accuracy_high": round(float(main.accuracy.high[-1]), 3),
                    "accuracy_depth_0": round(float(main.accuracy.point[0]), 3),
                    "chance": round(main.chance, 3),
                    "jump_block": main.jump.block,
                    "sharpness": round(main.jump.sharpness, 3),
                    "option_mass": round(float(main.option_mass[-1]), 4),
                }
            )
            print(rows[-1], flush=True)
    table = pl.DataFrame(rows)
    table.write_csv(Path(__file__).with_suffix(".csv"))
    with pl.Config(
        tbl_formatting="ASCII_MARKDOWN",
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
        tbl_rows=-1,
        tbl_cols=-1,
    ):
        print(table)


if __name__ == "__main__":
    main()
