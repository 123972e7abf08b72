"""lm-evaluation-harness in a process of its own: multiple-choice tasks from local files, every option's log-likelihood.

Run by `evaluate.py` and by the parity test as ``python peer_harness.py REQUEST ANSWER`` with a Python that has lm_eval.
The request says what to run: ``model`` and ``model_args`` of the harness, ``batch_size``, ``threads``, ``repeats`` and
``tasks``: each a name and a file of documents. A task that the harness knows and whose documents have the layout of its
own data set (``own``) is built from the harness's own configuration; any other's documents hold ``context``,
``choices``, ``delimiter`` and ``gold``.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import lm_eval
import torch
import yaml
from lm_eval.api.registry import get_model
from lm_eval.tasks import TaskManager

SUFFIX = "_from_file"
METRICS = [
    {"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc", "acc_norm", "acc_bytes")
]
PLAIN = {
    "output_type": "multiple_choice",
    "doc_to_text": "{{context}}",
    "doc_to_choice": "{{choices}}",
    "doc_to_target": "{{gold}}",
}


def configuration(name: str, task: dict[str, Any], manager: TaskManager) -> str:
    """A task of the harness that reads a local file, as a file beside the documents."""
    documents = Path(task["documents"])
    own = {"include": str(manager.task_index[name].yaml_path)} if task["own"] else {}
    plain = {} if task["own"] else {**PLAIN, "target_delimiter": task["delimiter"]}
    splits = {"test_split": "test", "training_split": None, "validation_split": None, "fewshot_split": None}
    files = {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": {"test": str(documents)}}}
    whole = {**own, "task": f"{name}{SUFFIX}", "tag": None, **plain, **files, **splits, "metric_list": METRICS}
    target = documents.with_suffix(".yaml")
    target.write_text(yaml.safe_dump(whole))
    return str(target)


def peak_memory_bytes() -> int:
    """The most memory this process has held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def main(request: Path, answer: Path) -> None:
    """Evaluate, and write samples and results by task, seconds of each repeat without loading, and peak memory."""
    wanted = json.loads(request.read_text())
    torch.set_num_threads(wanted["threads"])
    if wanted["model"] == "layercliff":
        import layercliff.harness  # noqa: F401
    arguments = {**wanted["model_args"], "batch_size": wanted["batch_size"], "device": "cpu"}
    model = get_model(wanted["model"])(**arguments)
    loaded = peak_memory_bytes()
    manager = TaskManager()
    tasks = [configuration(name, task, manager) for name, task in wanted["tasks"].items()]
    seconds: list[float] = []
    found: Any = None
    for _ in range(wanted["repeats"]):
        begin = time.perf_counter()
        found = lm_eval.simple_evaluate(model=model, tasks=tasks, task_manager=manager, log_samples=True)
        seconds.append(time.perf_counter() - begin)
    samples = {
        name.removesuffix(SUFFIX): [
            {k: s[k] for k in ("doc_id", "target", "arguments", "resps", "acc", "acc_norm", "acc_bytes")} for s in of
        ]
        for name, of in found["samples"].items()
    }
    results = {name.removesuffix(SUFFIX): of for name, of in found["results"].items()}
    written = {
        "samples": samples,
        "results": results,
        "seconds": seconds,
        "loaded_memory_bytes": loaded,
        "peak_memory_bytes": peak_memory_bytes(),
        "version": lm_eval.__version__,
    }
    answer.write_text(json.dumps(written, default=str))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
