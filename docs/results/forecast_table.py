"""The training table of the rule that ships with layercliff, from the directories of finished studies.

    layercliff study docs/studies/packaged.yaml --out runs/packaged
    python docs/results/forecast_table.py runs/packaged

Cells with a collapse on their path by margin, and the features of their dense models, become
``src/layercliff/analyses/forecast/forecast_table.csv``; `layercliff forecast` fits its
rule to that file. What the rule is worth on models and tasks left out is printed.
"""

import argparse
from pathlib import Path

from layercliff.analyses.forecast import result as forecasts
from layercliff.studies import result as studied
from layercliff.studies import words as study_words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", type=Path, nargs="+", metavar="STUDY")
    parser.add_argument(
        "--to",
        type=Path,
        default=Path(forecasts.__file__).with_name(forecasts.SHIPPED),
        help="Where it goes.",
    )
    given = parser.parse_args()
    rows = [row for directory in given.studies for row in studied.read(directory).rows]
    table = studied.training(rows).sort("model", "task", "format", "seed")
    judgements, why = studied.judged(table)
    if why:
        parser.error(why)
    table.write_csv(given.to, float_precision=6)
    print(f"{len(table)} cells of {table['model'].n_unique()} models in {given.to}")
    for judgement in judgements:
        print(*study_words.judgement(judgement), sep="\n")


if __name__ == "__main__":
    main()
