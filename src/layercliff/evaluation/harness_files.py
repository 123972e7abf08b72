"""An evaluation in the files that lm-evaluation-harness writes with ``--log_samples``."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from layercliff.evaluation.result import FOLDER, Evaluated
from layercliff.metrics.accuracy import METRICS
from layercliff.run import stored_files
from layercliff.run.directory import RunDirectory

NAME = "lm_eval"


def write(run: RunDirectory, evaluated: Evaluated) -> None:
    """Write ``evaluate/lm_eval/MODEL/results_DATE.json`` and ``samples_TASK_DATE.jsonl`` per task.

    The layout is that of version 0.4.13. Hashes of prompts and targets are the harness's own. Those of documents are
    not: a document here is what was asked of it.
    """
    model = re.sub(r"[\"<>:/|\\?*\[\]]+", "__", evaluated.subject.model)
    folder = run.path / FOLDER / NAME / model
    date = str(evaluated.cost["date"]).replace(":", "-")
    hashes = {}
    for name in evaluated.about:
        samples = list(_samples(evaluated, name))
        hashes[name] = _sha("".join(s["doc_hash"] + s["prompt_hash"] + s["target_hash"] for s in samples))
        lines = [json.dumps(sample, ensure_ascii=False) for sample in samples]
        _write(folder / f"samples_{name}_{date}.jsonl", "\n".join(lines) + "\n")
    content = {**_results(evaluated), "task_hashes": hashes, "model_name_sanitized": model}
    _write(folder / f"results_{date}.json", json.dumps(content, indent=2, ensure_ascii=False))


def _results(evaluated: Evaluated) -> dict[str, Any]:
    subject, cost = evaluated.subject, evaluated.cost
    results: dict[str, Any] = {}
    for name, scores in evaluated.scores.items():
        n = len(evaluated.questions.filter(task=name))
        results[name] = {"name": name, "alias": name, "sample_len": n}
        for metric, score in scores.items():
            results[name] |= {f"{metric},none": score.value, f"{metric}_stderr,none": score.stderr if n > 1 else "N/A"}
    return {
        "results": results,
        "group_subtasks": {name: [] for name in results},
        "configs": {
            task.name: {
                "task": task.name,
                "dataset_path": task.source,
                "test_split": task.split,
                "output_type": "multiple_choice",
                "num_fewshot": subject.shots,
            }
            for task in subject.tasks
        },
        "versions": {task.name: task.digest for task in subject.tasks},
        "n-shot": dict.fromkeys(results, subject.shots),
        "higher_is_better": {name: dict.fromkeys(METRICS, True) for name in results},
        "n-samples": {
            name: {"original": cost["questions"][name], "effective": found["sample_len"]}
            for name, found in results.items()
        },
        "config": {
            "model": "layercliff",
            "model_args": {"pretrained": subject.model, "dtype": subject.dtype},
            "model_revision": subject.revision,
            "model_dtype": subject.dtype,
            "device": cost["device"],
            "limit": subject.limit,
            "random_seed": subject.seed,
        },
        "model_source": "layercliff",
        "model_name": subject.model,
        "transformers_version": cost["versions"]["transformers"],
        "total_evaluation_time_seconds": str(cost["seconds"]),
    }


def _samples(evaluated: Evaluated, task: str) -> Iterator[dict[str, Any]]:
    questions = evaluated.questions.filter(task=task)
    groups = evaluated.options_of(task).partition_by("question", maintain_order=True)
    for number, (question, options) in enumerate(zip(questions.iter_rows(named=True), groups, strict=True)):
        document = {"id": question["id"], "query": options["context"][0], "choices": _choices(options)}
        document["gold"] = question["gold"]
        responses = [
            [str(value), str(greedy)]
            for value, greedy in zip(options["log_likelihood"], options["greedy"], strict=True)
        ]
        yield {
            "doc_id": number,
            "doc": document,
            "target": str(question["gold"]),
            "arguments": {
                f"gen_args_{index}": {"arg_0": context, "arg_1": continuation}
                for index, (context, continuation) in enumerate(
                    zip(options["context"], options["continuation"], strict=True)
                )
            },
            "resps": [[response] for response in responses],
            "filtered_resps": responses,
            "filter": "none",
            "metrics": list(METRICS),
            "doc_hash": _sha(json.dumps(document, indent=2, ensure_ascii=False)),
            "prompt_hash": _sha(options["context"][0]),
            "target_hash": _sha(str(question["gold"])),
            **{metric: question[metric] for metric in METRICS},
        }


def _choices(options: pl.DataFrame) -> list[str]:
    return [continuation.removeprefix(" ") for continuation in options["continuation"]]


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, text: str) -> None:
    stored_files.write_text(path, text)
