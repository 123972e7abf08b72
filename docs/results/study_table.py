"""Every cell of a finished study as a Markdown table, and what they say together.

``python docs/results/study_table.py runs/packaged``
"""

import sys
from pathlib import Path

from layercliff.studies import result as studied
from layercliff.studies import words as study_words
from layercliff.studies.result import Row, Studied


def line(row: Row) -> str:
    """A cell, or why it failed."""
    asked = f"| {row.model} | {row.task} | {row.format} |"
    if not row.finished:
        return f"{asked} {row.reason} ||||||"
    share = "" if row.transition is None else f"{row.transition / row.n_layers:.2f}"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    told = (
        f"{row.accuracy:.2f} ({row.chance:.2f})",
        study_words.transition(row),
        share,
        study_words.collapse(row),
        ratio,
    )
    return f"{asked} {row.n_questions}, {row.n_report} | {' | '.join(told)} |"


def main(study: Studied) -> None:
    print("| model | task | format | questions, reported | accuracy (chance) | T | T/L | k* | k*/L |")
    print("|" + "---|" * 9)
    print(*map(line, study.rows), sep="\n")
    print()
    for panel in study.panels:
        print(*study_words.association(panel), sep="\n")
    for judgement in study.judgements:
        print(*study_words.judgement(judgement), sep="\n")


if __name__ == "__main__":
    main(studied.read(Path(sys.argv[1])))
