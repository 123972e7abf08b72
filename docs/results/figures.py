"""Figures of finished run directories as small PNG files for the documentation.

    python docs/results/figures.py runs/verdicts/smollm2-135m-capitals-own-all --to docs/images/smollm2-135m-capitals

A directory of `verdicts.py`, or any other: whatever it holds of `WANTED` is drawn. Colours are reduced where `pngquant`
is installed.
"""

import argparse
import shutil
import subprocess
from pathlib import Path

import vl_convert

import layercliff
from layercliff.analyses.trace import result as traced
from layercliff.run.directory import RunDirectory

WANTED = (
    "{task}-margin", "prune-margin-margins", "prune-margin-accuracy", "prune-margin-{task}-frequency",
    "prune-margin-{task}-divergence", "prune-margin-{task}-radar", "similarity-{task}-tokens",
    "similarity-{task}-decision", "similarity-{task}-options", "noise-margin", "noise-accuracy",
    "ablate-margin", "ablate-pairs-margin", "recover-margin", "recover-last-accuracy",
)  # fmt: skip
PPI = 96
COLOURS = "128"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--to", type=Path, required=True, help="the directory that they go to")
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    drawn = {path.stem: path for path in layercliff.figures(given.run, ("svg",))}
    traced_run = traced.read(RunDirectory(given.run))
    assert traced_run is not None
    (task,) = traced_run.trace.tasks
    for wanted in WANTED:
        name = wanted.format(task=task)
        if name in drawn:
            target = given.to / f"{name.replace(f'-{task}', '').replace(task, 'trace')}.png"
            target.write_bytes(vl_convert.svg_to_png(drawn[name].read_text(), ppi=PPI))
            if shutil.which("pngquant"):
                subprocess.run(["pngquant", "--force", "--output", target, COLOURS, target], check=True)
            print(target)


if __name__ == "__main__":
    main()
