"""What benchmarks cost beside lm-evaluation-harness: one run, the same machine, the same texts, the same dtype.

``python benchmarks/evaluate.py --harness-python PATH`` needs a Python that has lm_eval (``lm_eval.txt``).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import torch
from peer_readout import peak_memory_bytes
from readout import CountingUnembedding

import layercliff
from layercliff.models import lookup

PEER = Path(__file__).with_name("peer_harness.py")
SAME = 1e-3  # nats


@dataclass(frozen=True)
class Workload:
    """Tasks with worked examples, and how many times faster than the harness they should be."""

    tasks: str
    shots: int
    sampler: str
    target: float


WORKLOADS = {
    "zero": Workload("arc_easy,hellaswag", 0, "per_item", 2.5),
    "few": Workload("arc_challenge", 5, "per_item", 3.5),
    "few-shared": Workload("arc_challenge", 5, "first_n", 8.0),
}


@dataclass(frozen=True)
class Run:
    """Seconds of each repeat without loading, and the most memory held."""

    name: str
    seconds: list[float]
    peak: int
    answer: dict[str, Any] = field(default_factory=dict)


def ours(request: Path, answer: Path) -> None:
    """Evaluate in this process, which is fresh, and write what was found and counted."""
    wanted = json.loads(request.read_text())
    torch.set_num_threads(wanted["threads"])
    model = layercliff.load(wanted["model"])
    own = model.anatomy.unembedding
    counting = CountingUnembedding(own.final_norm, own.head, own.logit_scale, own.softcap)
    model = replace(model, anatomy=replace(model.anatomy, unembedding=counting))
    seconds: list[float] = []
    evaluate = layercliff.evaluate  # imported here: imports are in neither side's seconds
    for _ in range(wanted["repeats"]):
        counting.counts.clear()
        begin = time.perf_counter()
        found = evaluate(
            model, wanted["tasks"], shots=wanted["shots"], sampler=wanted["sampler"], limit=wanted["limit"]
        )
        seconds.append(time.perf_counter() - begin)
    found.options.write_parquet(answer.with_suffix(".parquet"))
    states = sum(counting.counts) // own.vocabulary
    counted = {"head_states": states, "vocabulary": own.vocabulary, **found.cost}
    answer.write_text(json.dumps({"seconds": seconds, "peak_memory_bytes": peak_memory_bytes(), "cost": counted}))


def documents(options: pl.DataFrame, folder: Path) -> dict[str, Any]:
    """The same texts as files for the harness, a document per question.

    Ends the program for tasks whose options have contexts of their own.
    """
    tasks = {}
    for (name,), of in options.group_by("task", maintain_order=True):
        lines = []
        for _, rows in of.group_by("question", maintain_order=True):
            if rows["context"].n_unique() > 1:
                sys.exit(
                    f"The options of {name} have contexts of their own, which documents for the harness cannot say "
                    "here: leave it out."
                )
            choices = [continuation.removeprefix(" ") for continuation in rows["continuation"]]
            lines.append(
                json.dumps({"context": rows["context"][0], "choices": choices, "gold": rows["gold"].arg_max()})
            )
        file = folder / f"{name}.jsonl"
        file.write_text("\n".join(lines))
        tasks[name] = {"documents": str(file), "own": False, "delimiter": " "}
    return tasks


def run(python: str, script: Path, request: dict[str, Any], folder: Path, *arguments: str) -> dict[str, Any]:
    """Run a side in a process of its own, offline. Ends the program where it fails."""
    asked, answered = folder / "request.json", folder / "answer.json"
    asked.write_text(json.dumps(request))
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "home"), "TQDM_DISABLE": "1"}
    command = [python, str(script), *arguments, str(asked), str(answered)]
    done = subprocess.run(command, env={**os.environ, **offline}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{script.name} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(answered.read_text())
    return found


def compare(work: Workload, arguments: argparse.Namespace) -> None:
    """Run both sides in turns and print what they took."""
    located = lookup.locate(arguments.model).location
    with TemporaryDirectory() as name:
        folder = Path(name)
        mine = {
            "model": arguments.model, "tasks": work.tasks, "shots": work.shots, "sampler": work.sampler,
            "limit": arguments.limit, "threads": arguments.threads, "repeats": arguments.repeats,
        }  # fmt: skip
        script = Path(__file__)
        first = run(sys.executable, script, mine, folder, "--ours")
        options = pl.read_parquet(folder / "answer.parquet")
        tasks = documents(options, folder)
        seconds, peak = list(first["seconds"]), first["peak_memory_bytes"]
        theirs: list[Run] = []
        for size in arguments.batch_sizes:
            request = {
                "model": "hf", "model_args": {"pretrained": located, "dtype": "float32"}, "batch_size": size,
                "threads": arguments.threads, "repeats": arguments.repeats, "tasks": tasks,
            }  # fmt: skip
            found = run(arguments.harness_python, PEER, request, folder)
            theirs.append(Run(f"harness, batch size {size}", found["seconds"], found["peak_memory_bytes"], found))
            again = run(sys.executable, script, mine, folder, "--ours")
            seconds += again["seconds"]
            peak = max(peak, again["peak_memory_bytes"])
    show(work, arguments, Run("layercliff", seconds, peak, first["cost"]), theirs, options)


def show(work: Workload, arguments: argparse.Namespace, mine: Run, theirs: list[Run], options: pl.DataFrame) -> None:
    """The table, what was run, and whether the target is met."""
    cost, middle = mine.answer, statistics.median(mine.seconds)
    questions = options.select("task", "question").n_unique()
    shots = f", {work.shots} shots {work.sampler}" if work.shots else ""
    print(
        f"\n{arguments.model}, {work.tasks}{shots}: {questions} questions, {len(options)} options, "
        f"float32, {arguments.threads} threads"
    )
    print(f"  {'':<26}{'seconds':>9}  {'min - max':<16}{'ratio':>6}{'peak MiB':>10}")
    for one in (mine, *theirs):
        spread = f"{min(one.seconds):.1f} - {max(one.seconds):.1f}"
        now = statistics.median(one.seconds)
        print(f"  {one.name:<26}{now:>9.1f}  {spread:<16}{now / middle:>6.2f}{one.peak / 2**20:>10.0f}")
    whole = cost["tokens"]
    print(
        f"  tokens through the blocks: {cost['padded_tokens']:,} with padding; "
        f"one pass per option takes {whole:,} without"
    )
    print(
        f"  states through the head: {cost['head_states']:,}, each by {cost['vocabulary']:,} rows; "
        f"at every position {whole:,}"
    )
    best = min(theirs, key=lambda one: statistics.median(one.seconds))
    ratio = statistics.median(best.seconds) / middle
    print(
        f"  largest difference of an option's log-likelihood: {difference(options, best.answer):.1e} nats "
        f"(at most {SAME:g})"
    )
    print(
        f"  target, at least {work.target} times as fast as its best batch size: "
        f"{'met' if ratio >= work.target else 'missed'} ({ratio:.2f})"
    )


def difference(options: pl.DataFrame, answer: dict[str, Any]) -> float:
    """The largest difference over all options of all tasks."""
    largest = 0.0
    for (name,), of in options.group_by("task", maintain_order=True):
        samples = sorted(answer["samples"][name], key=lambda sample: sample["doc_id"])
        values = [response[0][0] for sample in samples for response in sample["resps"]]
        largest = max(largest, *(abs(a - b) for a, b in zip(of["log_likelihood"], values, strict=True)))
    return largest


def main() -> None:
    """The command line."""
    if sys.argv[1:2] == ["--ours"]:
        ours(*map(Path, sys.argv[2:]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--harness-python", required=True)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument(
        "--workload", default=",".join(WORKLOADS), help="zero, few, few-shared; several joined by commas"
    )
    parser.add_argument("--tasks", help="other tasks, joined by commas, in place of the workloads")
    parser.add_argument("--shots", type=int, default=0)
    parser.add_argument("--sampler", default="per_item")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument(
        "--batch-sizes", type=lambda text: [int(part) for part in text.split(",")], default=[1, 8, 16, 32]
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.tasks:
        work = [Workload(arguments.tasks, arguments.shots, arguments.sampler, WORKLOADS["zero"].target)]
    else:
        work = [WORKLOADS[name] for name in arguments.workload.split(",")]
    for one in work:
        compare(one, arguments)


if __name__ == "__main__":
    main()
