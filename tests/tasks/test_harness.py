"""Prompts against lm-evaluation-harness itself, character for character, on the same files."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from layercliff import cache
from layercliff.choices import Sampler
from layercliff.tasks import olmes, prompts, registry, splits
from layercliff.tasks.benchmarks import BENCHMARKS
from layercliff.tasks.question import Task

PYTHON = os.environ.get("LAYERCLIFF_LM_EVAL_PYTHON")
SCRIPT = Path(__file__).parents[1] / "lm_eval_requests.py"
APART = ("mmlu", "medqa", *olmes.BENCHMARKS)
"""MMLU is asked by subject; the harness has not the others."""
NAMES = [name for name, benchmark in BENCHMARKS.items() if not benchmark.subject and name not in APART]
SUBJECTS = ["mmlu_abstract_algebra", "mmlu_us_foreign_policy"]
ASKED, POOL = 60, 45

pytestmark = [
    pytest.mark.slow,
    pytest.mark.packaged,
    pytest.mark.skipif(not PYTHON, reason="LAYERCLIFF_LM_EVAL_PYTHON names no Python with benchmarks/lm_eval.txt"),
]


@dataclass(frozen=True)
class Case:
    """A task on local files, and how both sides draw worked examples for it."""

    task: Task
    shots: int
    sampler: Sampler
    job: dict[str, Any]


def files(name: str, root: Path, own_pool: bool) -> dict[str, str]:
    """Some rows of what the wheel holds, as the split that is asked and, unless `own_pool`, another one for worked
    examples."""
    benchmark = BENCHMARKS[name]
    base = name.removesuffix(f"_{benchmark.subject}").removesuffix("_4options")
    held = cache.directory() / "benchmarks" / base
    asked = benchmark.asked if benchmark.asked in BENCHMARKS[base].wheel else "validation"
    rows = pl.read_parquet(held / f"{asked}.parquet")
    if base != name and not benchmark.subject:
        rows = pl.DataFrame([four_options(row) for row in rows[:200].iter_rows(named=True)])
    pool = "train"
    examples = rows[-POOL:]
    if benchmark.subject:
        rows, pool = rows.filter(pl.col("subject") == benchmark.subject), "dev"
        examples = pl.read_parquet(held / "dev.parquet").filter(pl.col("subject") == benchmark.subject)
    found = {benchmark.asked: rows[:ASKED]} | ({} if own_pool else {pool: examples})
    root.mkdir()
    for split, frame in found.items():
        frame.write_parquet(root / f"{split}.parquet")
    return {split: str(root / f"{split}.parquet") for split in found}


def four_options(row: dict[str, Any]) -> dict[str, Any]:
    """A row of MedQA, without one of its wrong options, in the layout that the harness reads."""
    kept = [text for text in row["options"].values() if text != row["answer"]][:3]
    kept.insert(len(row["question"]) % 4, row["answer"])
    endings = {f"ending{k}": text for k, text in enumerate(kept)}
    return {"sent1": row["question"], "sent2": "", **endings, "label": kept.index(row["answer"])}


def case(name: str, root: Path, shots: int, sampler: Sampler, own_pool: bool = False) -> Case:
    registry.load(name.removesuffix("_4options"))  # the wheel's rows are in the cache from here on
    data = files(name, root, own_pool)
    overrides: dict[str, Any] = {
        "dataset_path": "parquet",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": data},
    }
    overrides["fewshot_config"] = {"sampler": "first_n" if sampler == "first_n" else "default"}
    if own_pool:
        overrides["training_split"] = None
    (task,) = registry.load(f"{name}={root}")
    return Case(task, shots, sampler, {"task": name, "overrides": overrides, "shots": shots})


def ours(found: Case) -> list[dict[str, Any]]:
    """What we ask of the questions in the order of the rows."""
    task, form = found.task, found.task.default_format
    questions, examples = splits.draw(task, 0, None, found.shots, found.sampler)
    shots = dict(zip((question.id for question in questions), examples, strict=True))
    documents = []
    for question in task.questions:
        prompt = prompts.ask(task, question, form, shots[question.id])
        pairs = [list(pair) for pair in zip(prompt.contexts, prompt.continuations, strict=True)]
        lengths = [len(text) for text in prompts.scored(task, question, form)]
        documents.append({"requests": pairs, "lengths": lengths, "gold": question.gold})
    return documents


def test_requests_are_the_harness_own(tmp_path: Path) -> None:
    """Zero-shot, and two shots by both of the harness's samplers; worked examples from a pool, and from the asked
    documents themselves."""
    draws: list[tuple[int, Sampler]] = [(0, "per_item"), (2, "per_item"), (2, "first_n")]
    cases = [
        case(name, tmp_path / f"{name}-{shots}-{sampler}", shots, sampler)
        for name in [*NAMES, *SUBJECTS]
        for shots, sampler in draws
    ]
    cases += [
        case(name, tmp_path / f"{name}-{shots}-{sampler}-own", shots, sampler, own_pool=True)
        for name in ("hellaswag", "piqa", "winogrande", "boolq", "commonsense_qa", "copa", "social_iqa", "sst2")
        for shots, sampler in draws[1:]
    ]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path / "datasets")}
    done = subprocess.run(
        [str(PYTHON), str(SCRIPT)],
        input=json.dumps([found.job for found in cases]),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for found, theirs in zip(cases, json.loads(done.stdout), strict=True):
        mine = ours(found)
        assert len(mine) == len(theirs) >= 50
        for one, other in zip(mine, theirs, strict=True):
            assert (one["requests"], one["gold"]) == (other["requests"], other["gold"]), found.job
            if found.task.name != "winogrande":  # the harness has no acc_norm for it
                assert one["lengths"] == other["lengths"]
