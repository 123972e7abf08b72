"""Runs inside the Python of lm-evaluation-harness (``benchmarks/lm_eval.txt``): what the harness would ask of a model,
as JSON.

Standard input holds a list of jobs: the name of a task, overrides of its configuration (local files as its dataset) and
the number of shots.
"""

import json
import sys
from typing import Any

from lm_eval.tasks import TaskManager  # type: ignore[import-not-found]

SEED = 1234  # the harness's default for worked examples


def documents(manager: Any, task: str, overrides: dict[str, Any], shots: int) -> list[dict[str, Any]]:
    """Per document: the (context, continuation) of every request, the lengths that its acc_norm divides by, and the
    right option."""
    built = manager._factory.build(manager.task_index[task], overrides=overrides, registry=manager.task_index)
    built.set_config(key="num_fewshot", value=shots)
    built.set_fewshot_seed(seed=SEED)
    built.build_all_requests()
    found: dict[int, dict[str, Any]] = {}
    for instance in built.instances:
        if instance.doc_id not in found:
            choices = built.doc_to_choice(instance.doc)
            gold = built.doc_to_text(instance.doc) if built.multiple_input else built.doc_to_target(instance.doc)
            place = choices.index(gold) if isinstance(gold, str) else gold
            found[instance.doc_id] = {"requests": [], "lengths": [len(choice) for choice in choices], "gold": place}
        found[instance.doc_id]["requests"].append(instance.args)
    return list(found.values())


if __name__ == "__main__":
    manager = TaskManager()
    json.dump([documents(manager, **job) for job in json.load(sys.stdin)], sys.stdout)
