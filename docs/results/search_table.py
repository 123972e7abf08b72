"""The table of what choosing a path costs, from what ``benchmarks/search.py --out`` wrote.

``python docs/results/search_table.py FILE.json ...``
"""

import json
import sys
from pathlib import Path
from typing import Any


def row(found: dict[str, Any]) -> str:
    """One run as a line of the table."""
    exact, race, loop = found["exact"], found["race"], found["loop"]
    first = loop["seconds"][0] / exact["seconds"][0]
    path, raced = (sum(loop["seconds"]) / sum(one["seconds"]) for one in (exact, race))
    share = "{share:.2f} ({least:.2f}-{greatest:.2f})".format(**found["gemm_share"]) if "gemm_share" in found else ""
    sleb = f"{found['sleb']['ratio']:.1f}" if "sleb" in found else ""
    same = "yes" if set(exact["removed"]) == set(race["removed"]) else "no"
    return (
        f"| {found['model']} | {found['task']}, {found['questions']} | {found['steps']} of {found['n_layers']} | "
        f"{found['tokens_shared']} / {found['tokens_loop']} | "
        f"{sum(exact['passes'])} / {sum(race['passes'])} / {sum(loop['passes'])} | {first:.2f} | "
        f"{path:.2f} | {raced:.2f} | {same} | {sleb} | {share} | {found['peak_memory_bytes'] / 2**30:.1f} |"
    )


def main(files: list[str]) -> None:
    """Print the table."""
    print(
        "| model | task, questions selected on | blocks removed | tokens of a block pass, ours / loop | "
        "block passes, exact / race / loop | first step, x the loop | path, x | race 0.05, x | same blocks | "
        "SLEB's pattern, x | matrix products alone | peak GB |"
    )
    print("|" + "---|" * 12)
    for file in files:
        print(row(json.loads(Path(file).read_text())))


if __name__ == "__main__":
    main(sys.argv[1:])
